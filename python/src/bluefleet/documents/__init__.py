"""The document path: publisher, spool, forwarder, sinks and listener. Knows nothing of the fleet.

    RunEngine → Publisher → Spool ═ forwarder ⇒ Kafka ⇒ Mongo sink, Tiled sink, listeners

A document is acknowledged at each arrow before the place it came from lets go of it, so that a document can
come twice and never not at all; each receiver recognises what it already has.

`Publisher` and `Spool` are what a RunEngine needs. They are imported on first use: `bluefleet documents verify`
lives on machines that have neither numpy nor msgpack.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bluefleet.documents.publisher import Publisher
    from bluefleet.documents.spool import Spool

__all__ = ["Publisher", "Spool"]


def __getattr__(name: str) -> Any:
    if name == "Publisher":
        from bluefleet.documents.publisher import Publisher

        return Publisher
    if name == "Spool":
        from bluefleet.documents.spool import Spool

        return Spool
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
