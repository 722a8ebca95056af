"""A rehearsal: a real site's inventory made into one that runs on this machine, with twins for all its hardware.

The inventory of a rehearsal is a folder of its own, made anew from the site's each time; nothing of the site is changed,
and none of its addresses is in the new one.
"""

from bluefleet.rehearsal._addresses import Subnet
from bluefleet.rehearsal._folder import NotARehearsal, addresses_in, folder_of, made_before, write
from bluefleet.rehearsal._rehearsal import Left, Rehearsal, rehearse
from bluefleet.rehearsal._virtual import not_virtual

__all__ = [
    "Left",
    "NotARehearsal",
    "Rehearsal",
    "Subnet",
    "addresses_in",
    "folder_of",
    "made_before",
    "not_virtual",
    "rehearse",
    "write",
]
