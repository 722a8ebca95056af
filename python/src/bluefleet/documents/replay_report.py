"""What the forwarder says of dead letters and of documents that it sent again; both ends of the wire read it here."""

from pydantic import BaseModel, ConfigDict


class Letter(BaseModel):
    """A document that a sink could not store."""

    model_config = ConfigDict(extra="ignore")

    #: Its offset in the topic of dead letters: people name it by this.
    number: int
    #: When it was put there.
    time: float
    sink: str
    reason: str
    #: Of the document: `unreadable` where the bytes are none.
    name: str
    run: str
    uid: str = ""
    seq_num: int | None = None
    #: Its offset in the topic of documents.
    offset: int


class Letters(BaseModel):
    """Those that wait for somebody to see to them, oldest first."""

    model_config = ConfigDict(extra="ignore")

    schema_version: int = 1
    letters: list[Letter]


class Replayed(BaseModel):
    """What is, or was, sent again."""

    model_config = ConfigDict(extra="ignore")

    schema_version: int = 1
    run: str | None = None
    #: Where it was read: "spool", "kafka" or "dead letters".
    source: str
    documents: int
    #: The offset after the last one sent: sinks that are there have them all. None when nothing was sent.
    end: int | None = None
    #: What Kafka would not take, in words.
    refused: list[str] = []
    #: Numbers of letters that were not sent, as their bytes are no document.
    unreadable: list[int] = []
