"""Which nodes a person means."""

from collections.abc import Sequence

from bluefleet.model import Site


class NodeUnknown(Exception):
    """A name that is no node of the site."""

    def __init__(self, names: Sequence[str], known: Sequence[str]) -> None:
        self.known = known
        super().__init__(f"no node is called {' or '.join(names)}")


def only(site: Site, names: Sequence[str]) -> Site:
    """The site with these nodes only; with all of them when no name is given. Raises NodeUnknown."""
    if not names:
        return site
    known = [node.name for node in site.nodes]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise NodeUnknown(unknown, known)
    return site.model_copy(update={"nodes": [node for node in site.nodes if node.name in names]})
