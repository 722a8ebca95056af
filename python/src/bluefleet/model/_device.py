"""A device: an ophyd or ophyd-async object that a plan can name."""

from typing import Any

from pydantic import Field

from bluefleet.model._base import Declared
from bluefleet.model._names import ClassPath, DeviceName


class Device(Declared):
    """One device, declared with the instance that serves it."""

    name: DeviceName
    class_path: ClassPath = Field(
        alias="class",
        description="Python class, such as bluefleet.devices.Axis or one of the site's acquisition packages",
    )
    prefix: str | None = Field(
        default=None,
        pattern=r"^\S+$",
        description="Prefix of its process variables, passed as the first argument; none for a device without any",
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Further keyword arguments of the class; `name` is always passed"
    )
    baseline: bool = Field(
        default=False, description="Whether it is read when a run starts and when it ends, into the stream `baseline`"
    )
