"""`bluefleet site`: every address, URL, authority and credential file of the site."""

from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._control import addresses_of
from bluefleet.cli._of_site import OfSite

if TYPE_CHECKING:
    from bluefleet.inventory import SiteAddresses

app = typer.Typer()


@app.command()
def site(
    inventory: OfSite = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Show what a person or a script needs to connect: addresses, URLs, and which files hold the credentials."""
    addresses, _ = addresses_of("site", inventory)
    typer.echo(addresses.model_dump_json() if as_json else "\n".join(_lines(addresses)))


def _lines(addresses: "SiteAddresses") -> list[str]:
    width = max(map(len, addresses.hosts), default=0)
    lines = [f"Site {addresses.site}"]
    lines += [f"  {name:<{width}}  {host.address}  {', '.join(host.groups)}" for name, host in addresses.hosts.items()]
    if addresses.edge:
        lines += [
            f"Front page {addresses.edge.url}/",
            f"Queue API  {addresses.edge.url}/api",
            f"  key       {addresses.edge.queue_api_key_file}",
            f"  authority {addresses.edge.ca_file}",
        ]
    if addresses.fleet:
        lines += [f"Fleet API  {addresses.fleet.url}", f"  token     {addresses.fleet.token_file}"]
    if addresses.tiled:
        lines += [
            f"Tiled      {addresses.tiled.url}",
            f"  to read   {addresses.tiled.reader_key_file}",
            f"  to write  {addresses.tiled.api_key_file}",
        ]
    if addresses.jupyter:
        lines += [f"Jupyter    {addresses.jupyter.url}", f"  password  {addresses.jupyter.password_file}"]
    if addresses.kafka:
        lines += [
            f"Documents  {addresses.kafka.bootstrap} topic {addresses.kafka.topic} (TLS, SASL PLAIN)",
            f"  user      {addresses.kafka.username}, password in {addresses.kafka.password_file}",
            f"  authority {addresses.kafka.ca_file}",
        ]
    return lines
