"""The kinds of names and addresses a site file may hold, each with the sentence that says what would be right."""

import ipaddress
import keyword
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, core_schema

_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_DNS_NAME = re.compile(rf"^{_LABEL}(\.{_LABEL})*\.?$")
_DIGEST = r"sha256:[0-9a-f]{64}"


@dataclass(frozen=True)
class _Named:
    """A pattern with the sentence that says it to people; the JSON schema has the pattern."""

    pattern: str
    rule: str

    def check(self, value: str) -> str:
        if re.fullmatch(self.pattern, value) is None:
            raise ValueError(f"{value!r} is not a name: {self.rule}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}


def _device_name(value: str) -> str:
    if not value.isidentifier() or keyword.iskeyword(value) or value.startswith("_"):
        raise ValueError(
            f"{value!r} cannot be a device's name: plans write it as a Python variable, so letters, digits and "
            "underscores, not beginning with a digit or an underscore"
        )
    return value


def check_address(value: str) -> str:
    """Return `value` when it is an IPv4 address or a legal DNS name, else raise ValueError that says which it is not.

    A name made of digits and dots only is taken for a mistyped IPv4 address: no DNS name ends in a numeric label.
    IPv6 is refused, because engines and pods listen on IPv4, and Channel Access knows nothing else.
    """
    try:
        version = ipaddress.ip_address(value.removeprefix("[").removesuffix("]")).version
    except ValueError:
        version = None
    if version == 6:
        raise ValueError(f"{value!r} is an IPv6 address, which nothing here listens on: an IPv4 address or a DNS name")
    if version == 4 and "[" not in value and "]" not in value:
        return value
    if re.fullmatch(r"[0-9.]+", value):
        raise ValueError(f"{value!r} is not an IPv4 address: four numbers from 0 to 255 with dots between them")
    if ":" in value:
        raise ValueError(f"{value!r} is not an address: an IPv4 address or a DNS name, without a port")
    if len(value) > 253 or _DNS_NAME.fullmatch(value) is None:
        raise ValueError(f"{value!r} is neither an IPv4 address nor a DNS name: letters, digits, '-' and '.'")
    return value


def check_reference(value: str) -> str:
    """Return an image reference unless it is tagged `latest`, which says nothing about what would run."""
    if value.partition("@")[0].endswith(":latest"):
        raise ValueError(f"{value!r} says 'latest', which is another image tomorrow: name it by its digest (@sha256:…)")
    return value


SiteName = Annotated[
    str,
    _Named(r"[a-z][a-z0-9-]{0,30}", "a small letter, then at most 30 small letters, digits or '-'"),
    Field(description="Name of the site; part of labels, topics and database names"),
]
HostName = Annotated[
    str,
    _Named(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", "letters, digits, '-', '_' and '.', at most 63"),
    Field(description="The host's name in the inventory"),
]
InstanceName = Annotated[
    str,
    _Named(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?", "small letters, digits and '-' between them, at most 50"),
    Field(description="Name of the instance, unique on its node; its container is called bluefleet-<name>"),
]
DeviceName = Annotated[
    str, AfterValidator(_device_name), Field(description="Name of the device in plans, unique in the whole site")
]
ImageKey = Annotated[
    str,
    _Named(r"[a-z0-9]([a-z0-9_-]{0,48}[a-z0-9])?", "small letters, digits, '-' and '_'"),
    Field(description="The name that an instance's `image` refers to"),
]
Category = Annotated[
    str,
    _Named(r"[a-z0-9]([a-z0-9_-]{0,48}[a-z0-9])?", "small letters, digits, '-' and '_'"),
    Field(description="A word that people choose nodes or instances by, such as camera"),
]
Address = Annotated[
    str, AfterValidator(check_address), Field(description="IPv4 address or DNS name at which other hosts reach it")
]
ClassPath = Annotated[
    str,
    _Named(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", "a dotted Python path such as bluefleet.devices.Axis"),
]
ModulePath = Annotated[
    str,
    _Named(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "a module as Python imports it, such as beamline7.plans"),
]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
Digest = Annotated[str, StringConstraints(pattern=rf"^{_DIGEST}$")]
Reference = Annotated[str, AfterValidator(check_reference)]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/\S*$")]
