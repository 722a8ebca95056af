"""Reads the site file: `/etc/bluefleet/fleet.yml` on the manager, `.state/site.yml` on the control machine."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bluefleet.model import Partial, Problem, Site, shape_problems, site_problems, well_shaped

MANAGER_SITE_FILE = Path("/etc/bluefleet/fleet.yml")


class SiteFileInvalid(Exception):
    """The site file is missing, is no YAML, or declares what cannot be.

    `partial` is what of it has the right shape, if anything can be told of that alone.
    """

    def __init__(self, path: Path, problems: list[Problem], partial: Partial | None = None) -> None:
        self.path = path
        self.problems = problems
        self.partial = partial
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))


def load_site(path: Path = MANAGER_SITE_FILE) -> Site:
    """Return the declared site, or raise SiteFileInvalid with everything that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        remedy = "Run site.yml, which writes it"
        raise SiteFileInvalid(path, [Problem((), None, f"cannot be read ({error.strerror})", remedy)]) from error
    return parse_site(text, path)


def parse_site(text: str, path: Path) -> Site:
    """Return the site that `text` declares; `path` is named in errors. Raises SiteFileInvalid."""
    try:
        # Of a hundred nodes, reading the file in Python takes longer than asking them.
        content: Any = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        remedy = "Run site.yml, which writes it anew"
        raise SiteFileInvalid(path, [Problem((), None, f"is no YAML ({error})", remedy)]) from error
    try:
        site = Site.model_validate(content)
    except ValidationError as error:
        partial = well_shaped(content, error)
        more = partial.as_written(site_problems(partial.site)) if partial else ()
        raise SiteFileInvalid(path, [*shape_problems(error, Site), *more], partial) from error
    problems = site_problems(site)
    if problems:
        raise SiteFileInvalid(path, problems, Partial(site))
    return site
