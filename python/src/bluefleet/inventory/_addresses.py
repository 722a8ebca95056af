"""Everything a person or a program needs to connect to a site: addresses, and where credentials are. Never a secret."""

from pathlib import Path

from pydantic import BaseModel, Field

from bluefleet.inventory._rendering import Rendered
from bluefleet.model import Host, Site
from bluefleet.site_file import load_site


class Edge(BaseModel):
    """The HTTPS door of the acquisition pod."""

    url: str = Field(description="Base of the queue API (/api), the fleet API and the console")
    ca_file: Path = Field(description="Authority that signed the site's certificates")
    queue_api_key_file: Path = Field(description="File with the key for `Authorization: ApiKey …`")


class FleetApi(BaseModel):
    """The fleet service: status, history, verbs, events, metrics."""

    url: str = Field(description="Base of its API; the same authority as the edge's")
    token_file: Path = Field(description="File with the token for `Authorization: Bearer …`")


class Tiled(BaseModel):
    """The data service."""

    url: str = Field(description="Base of Tiled's API; the same authority as the edge's")
    reader_key_file: Path = Field(description="File with the key that reads")
    api_key_file: Path = Field(description="File with the key that may also write and remove")


class Jupyter(BaseModel):
    """Notebooks at the edge of the data pod."""

    url: str = Field(description="Where a browser begins; the same authority as the edge's")
    password_file: Path = Field(description="File with the password that it asks for")


class KafkaListener(BaseModel):
    """The document stream for consumers outside."""

    bootstrap: str = Field(description="host:port, TLS with SASL PLAIN")
    ca_file: Path = Field(description="Authority that signed its certificate")
    username: str = Field(description="User who may read")
    password_file: Path = Field(description="File with the user's password")
    topic: str = Field(description="Topic of documents")


class SiteAddresses(BaseModel):
    """What `bluefleet site` prints; a pod that the site does not have is null."""

    schema_version: int = 1
    site: str = Field(description="Name of the site")
    hosts: dict[str, Host] = Field(description="Hosts by name")
    edge: Edge | None
    fleet: FleetApi | None
    tiled: Tiled | None
    jupyter: Jupyter | None
    kafka: KafkaListener | None


def site_addresses(rendered: Rendered) -> SiteAddresses:
    """Put together what a rendered site says. Raises SiteFileInvalid."""
    site = load_site(rendered.site_file)
    secrets = rendered.control.secrets_dir
    ca_file = rendered.control.pki_dir / "site" / "bundle.crt"
    return SiteAddresses(
        site=site.site,
        hosts=site.hosts,
        edge=_edge(site, secrets, ca_file),
        fleet=_fleet(site, secrets),
        tiled=_tiled(site, secrets),
        jupyter=_jupyter(site, secrets),
        kafka=None
        if site.kafka is None
        else KafkaListener(
            bootstrap=site.kafka.bootstrap,
            ca_file=ca_file,
            username=site.kafka.username,
            password_file=secrets / "kafka_listener_password",
            topic=site.kafka.topic,
        ),
    )


def _edge(site: Site, secrets: Path, ca_file: Path) -> Edge | None:
    pod = site.pods.acquisition
    if pod is None:
        return None
    return Edge(url=f"https://{pod.address}", ca_file=ca_file, queue_api_key_file=secrets / "queue_api_key")


def _fleet(site: Site, secrets: Path) -> FleetApi | None:
    pod = site.pods.acquisition
    # The service answers on the manager's loopback, so only an edge that is there passes it on.
    if pod is None or "manager" not in site.hosts[pod.host].groups:
        return None
    return FleetApi(url=f"https://{pod.address}/fleet", token_file=secrets / "fleet_token")


def _tiled(site: Site, secrets: Path) -> Tiled | None:
    pod = site.pods.data
    if pod is None:
        return None
    url = f"https://{pod.address}/tiled"
    return Tiled(url=url, reader_key_file=secrets / "tiled_reader_key", api_key_file=secrets / "tiled_api_key")


def _jupyter(site: Site, secrets: Path) -> Jupyter | None:
    pod = site.pods.data
    if pod is None or not pod.jupyter:
        return None
    return Jupyter(url=f"https://{pod.address}/jupyter/", password_file=secrets / "jupyter_password")
