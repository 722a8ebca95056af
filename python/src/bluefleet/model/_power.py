"""How the manager cuts a node's power and gives it back, without asking the node."""

from typing import Literal

from pydantic import Field, model_validator

from bluefleet.model._base import Declared
from bluefleet.model._names import AbsolutePath

ACTION = "{action}"


class PowerHttp(Declared):
    """A request to a power unit; {action} in `url` or `body` becomes `off`, then `on`."""

    url: str = Field(pattern=r"^https?://[^\s/]+(/\S*)?$", description="Where the power unit is asked")
    method: Literal["GET", "POST", "PUT", "PATCH"] = Field(default="POST", description="How it is asked")
    token_file: AbsolutePath | None = Field(
        default=None, description="File on the manager with the token that is sent as bearer; none when it wants none"
    )
    body: str | None = Field(default=None, description="What is sent with it; none for nothing")
    content_type: str = Field(default="application/json", description="What `body` is")
    ca_file: AbsolutePath | None = Field(
        default=None, description="Authority on the manager that signed its certificate; none for the site CA"
    )


class Power(Declared):
    """One of a command on the manager and an HTTP request. Without {action} in it, it is called once, and does both."""

    command: list[str] | None = Field(
        default=None, min_length=1, description="Program on the manager with its words; {action} becomes off, then on"
    )
    http: PowerHttp | None = Field(default=None, description="A request to a power unit")
    off_seconds: float = Field(default=5, ge=0, description="How long it stays off")
    timeout_seconds: float = Field(default=30, gt=0, description="Time that each call may take")

    @model_validator(mode="after")
    def _one_way(self) -> "Power":
        if (self.command is None) == (self.http is None):
            raise ValueError("power says no way, or two: exactly one of `command` and `http`")
        return self

    @property
    def cycles(self) -> bool:
        """Whether one call takes the power away and gives it back."""
        of_http = [self.http.url, self.http.body or ""] if self.http else []
        said = [*(self.command or []), *of_http]
        return not any(ACTION in word for word in said)
