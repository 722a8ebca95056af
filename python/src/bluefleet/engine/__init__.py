"""One node's Docker engine: reach it, ask it, change it, each with a deadline. The only importer of `docker`."""

from bluefleet.engine._endpoint import ClientCertificate, Deadlines, Endpoint, RegistryLogin
from bluefleet.engine._engine import READ_LOGS, Engine
from bluefleet.engine._errors import (
    ContainerMissing,
    EngineError,
    EngineFault,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    ExecTimeout,
    ImageMissing,
    NameTaken,
    OwnFault,
    ProgramNotStarted,
    TransferTimeout,
    VolumeDiffers,
)
from bluefleet.engine._seen import Container, Executed, Happened, LocalImage, LogLine, Observation
from bluefleet.engine._session import Streams
from bluefleet.engine._spec import (
    LABEL,
    SPEC_LABEL,
    ContainerSpec,
    HealthCheck,
    HostDevice,
    Limit,
    Mount,
    PublishedPort,
)

__all__ = [
    "LABEL",
    "READ_LOGS",
    "SPEC_LABEL",
    "ClientCertificate",
    "Container",
    "ContainerMissing",
    "ContainerSpec",
    "Deadlines",
    "Endpoint",
    "Engine",
    "EngineError",
    "EngineFault",
    "EngineRefused",
    "EngineTimeout",
    "EngineUnreachable",
    "ExecTimeout",
    "Executed",
    "Happened",
    "HealthCheck",
    "HostDevice",
    "ImageMissing",
    "Limit",
    "LocalImage",
    "LogLine",
    "Mount",
    "NameTaken",
    "Observation",
    "OwnFault",
    "ProgramNotStarted",
    "PublishedPort",
    "RegistryLogin",
    "Streams",
    "TransferTimeout",
    "VolumeDiffers",
]
