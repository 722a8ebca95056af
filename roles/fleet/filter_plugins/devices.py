"""Ansible filter: the device database of a declared site, in the words of the package that the manager runs."""

from collections.abc import Callable
from pathlib import Path

from ansible.errors import AnsibleFilterError


def device_database(site_file: str) -> str:
    """The text of the device database for the text of a site file."""
    from bluefleet import model
    from bluefleet.site_file import SiteFileInvalid, parse_site

    try:
        return model.device_database(parse_site(site_file, Path("fleet.yml")))
    except SiteFileInvalid as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Names the filters."""

    def filters(self) -> dict[str, Callable[[str], str]]:
        """All filters of this file."""
        return {"device_database": device_database}
