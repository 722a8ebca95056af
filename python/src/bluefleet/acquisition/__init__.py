"""The start-up of every RunEngine, the queue's worker and a terminal alike.

The queue's worker imports ``bluefleet.acquisition.startup``; this package itself imports nothing, so that the address
list of Channel Access is set before anything loads EPICS.
"""
