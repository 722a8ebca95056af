"""Why the camera doesn't do what it was asked, each in a sentence for the person who asked."""


class CameraError(Exception):
    """Something the camera refused, or could not finish."""


class CameraBusy(CameraError):
    """It takes one exposure at a time."""


class NothingToAbort(CameraError):
    """It is idle."""


class OutOfRange(CameraError):
    """A number or a name it can't work with."""


class ExposureAborted(CameraError):
    """Somebody aborted the exposure, through either view."""


class FrameNotWritten(CameraError):
    """The exposure is over, but its frame could not be stored."""
