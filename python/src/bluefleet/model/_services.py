"""What a site has besides hardware: images, their registry, pods of services, the document stream."""

from pydantic import Field, model_validator

from bluefleet.model._base import Declared
from bluefleet.model._names import AbsolutePath, Address, Digest, HostName, ModulePath, Reference


class Image(Declared):
    """A container image that instances refer to by its key."""

    reference: Reference = Field(
        min_length=1, description="registry/repository@digest; without the digest as long as it is not built"
    )
    digest: Digest | None = Field(default=None, description="sha256 of its manifest; none as long as it is not built")

    @model_validator(mode="after")
    def _reference_ends_in_digest(self) -> "Image":
        named = self.reference.partition("@")[2] or None
        if named != self.digest:
            raise ValueError(
                f"reference {self.reference!r} and digest {self.digest!r} differ: the reference ends in @<digest>"
            )
        return self


class Registry(Declared):
    """The site's own image registry."""

    address: str = Field(pattern=r"^\S+:\d+$", description="host:port, as it stands in image references")
    tls: bool = Field(default=True, description="Whether it speaks TLS; plain HTTP is for closed networks only")
    ca_file: AbsolutePath | None = Field(
        default=None, description="Authority that signed its certificate, on each host"
    )

    @model_validator(mode="after")
    def _tls_has_an_authority(self) -> "Registry":
        if self.tls and self.ca_file is None:
            raise ValueError("a registry that speaks TLS needs ca_file, or engines cannot verify it")
        return self


class Pod(Declared):
    """The service containers of one role, on one host."""

    host: HostName
    address: Address


class DataPod(Pod):
    """The pod that stores documents and lets people read them."""

    jupyter: bool = Field(default=False, description="Whether people have notebooks at its edge")


class Pods(Declared):
    """Which hosts run the pods; none when the site has none of that kind."""

    acquisition: Pod | None = Field(default=None, description="Queue, worker, Kafka, Redis and their edge")
    data: DataPod | None = Field(default=None, description="Databases, their sinks, Tiled and Jupyter")


class Acquisition(Declared):
    """What the site adds to every RunEngine."""

    packages: list[str] = Field(
        default_factory=list, description="Pinned requirements or paths of the site's own plans and device classes"
    )
    plans: list[ModulePath] = Field(
        default_factory=list[str],
        description="Modules of those packages whose plans can be queued, such as beamline7.plans",
    )


class Kafka(Declared):
    """The document stream as it is seen from other hosts."""

    bootstrap: str = Field(pattern=r"^\S+:\d+$", description="host:port of the listener for other hosts (TLS + SASL)")
    topic: str = Field(pattern=r"^[a-z][a-z0-9.-]+$", description="Topic of documents; <topic>.dead holds dead letters")
    username: str = Field(description="User that may only read, for consumers of the stream")
