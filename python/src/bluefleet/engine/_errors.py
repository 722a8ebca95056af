"""What can go wrong between the manager and one node's engine, by name.

Each error knows the node, what was tried against what, the reason in words and what to do next.
"""


class EngineError(Exception):
    """A call to a node's engine that did not do what it was asked."""

    def __init__(self, node: str, tried: str, reason: str, remedy: str) -> None:
        self.node = node
        self.tried = tried
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{node}: {tried}: {reason}. {remedy}")


class EngineUnreachable(EngineError):
    """Nothing answers at the engine's address."""


class OwnFault(EngineError):
    """This machine could not ask or keep the answer: file descriptors, memory, disk, route. The node may be well."""


class EngineRefused(EngineError):
    """The engine or this side refused the other's certificate, key or login."""


class EngineTimeout(EngineError):
    """The engine did not answer within the deadline."""


class EngineFault(EngineError):
    """The engine answered with an error of its own."""


class ContainerMissing(EngineError):
    """The container is not on the node (any more)."""


class ExecTimeout(EngineError):
    """A command inside a container did not end in its time; the engine is well."""


class ProgramNotStarted(EngineError):
    """A program inside a container could not be started; `exit_code` is what a shell would end with."""

    def __init__(self, node: str, tried: str, reason: str, remedy: str, *, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(node, tried, reason, remedy)


class TransferTimeout(EngineError):
    """A log or an image was too long on its way; the engine is well."""


class NameTaken(EngineError):
    """A container of that name exists and is not this site's."""


class VolumeDiffers(EngineError):
    """A volume of that name is there, and was made with other options."""


class ImageMissing(EngineError):
    """The image is not on the node, and it could not be pulled."""
