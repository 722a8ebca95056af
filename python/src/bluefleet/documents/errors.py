"""What goes wrong on the document path, by name."""


class DocumentError(Exception):
    """Base of all errors of the document path."""


class DocumentRefused(DocumentError):
    """The document can't travel as it is: too large, or it holds something that can't be encoded."""


class DocumentUnreadable(DocumentError):
    """These bytes are not a document."""


class SpoolBusy(DocumentError):
    """Another live process writes this spool."""


class SpoolFull(DocumentError):
    """The spool has reached its size limit: nothing more is accepted until documents are delivered."""


class SpoolFailed(DocumentError):
    """The spool can't write to its disk."""


class Unavailable(DocumentError):
    """The other side does not answer, or not now: the same thing again later can work."""


class Poison(DocumentError):
    """This document can't be stored, however often it is tried."""


class NotFound(DocumentError):
    """There is no such thing."""


class RunNotFound(NotFound):
    """No run answers to that uid, scan id or position."""


class LetterNotFound(NotFound):
    """No dead letter has that number."""


class RequestWrong(DocumentError):
    """Nobody can do what this request says."""


class SettingsWrong(DocumentError):
    """An environment variable of a service is missing or says something impossible."""


class Refusing(Unavailable):
    """The other side answers, and refuses: perhaps for now, perhaps because of what it was given."""


class Stopping(DocumentError):
    """The service was told to stop while it waited."""
