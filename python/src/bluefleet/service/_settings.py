"""What a site may choose of the fleet service: environment variables of its unit."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_PREFIX = "BLUEFLEET_SERVICE_"


class ServiceSettingsInvalid(Exception):
    """An environment variable says what can't be."""

    def __init__(self, variable: str, says: str) -> None:
        self.variable = variable
        super().__init__(says)


class ServiceSettings(BaseModel):
    """Each is read from BLUEFLEET_SERVICE_<NAME>."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: int = Field(default=8410, ge=0, le=65535, description="On loopback; 0 is any that is free")
    socket: Path | None = Field(default=None, description="Unix socket as well, for the edge, which is a container")
    period: float = Field(default=20.0, gt=0, description="Seconds between two looks at a node where nothing happens")
    deadline: float = Field(default=5.0, gt=0, description="Seconds that a node has to answer")
    tries: int = Field(default=5, ge=1, description="How often mending an instance is tried")
    first_pause: float = Field(
        default=10.0, ge=0, description="Seconds after the first try; each pause is twice the last"
    )
    longest_pause: float = Field(default=300.0, ge=0, description="Seconds")
    steady: float = Field(default=600.0, ge=0, description="Seconds that it must be well for its tries to be forgotten")
    history_days: float = Field(default=365.0, gt=0, description="For how long history is kept")
    interrupt_runs: bool = Field(default=False, description="Whether it may restart what a running plan uses")

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """As the environment says. Raises ServiceSettingsInvalid."""
        given = {
            name: environment[variable]
            for name in cls.model_fields
            if (variable := f"{_PREFIX}{name.upper()}") in environment
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            variable = f"{_PREFIX}{first['loc'][0]}".upper()
            raise ServiceSettingsInvalid(variable, f"{environment[variable]!r}: {first['msg']}") from error
