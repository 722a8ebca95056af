"""Which device classes a plan can use, and which modules of plans a worker can have, known without importing any."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bluefleet.model import Problem, Site, did_you_mean

OWN_PACKAGE = "bluefleet.devices"
# Part of every worker image; their classes are checked when the image is built.
_IN_EVERY_WORKER = ("ophyd", "ophyd_async")
# Modules of plans that come with Bluesky may be named like a site's own.
_WITH_PLANS = ("bluesky",)


@cache
def own_classes() -> tuple[str, ...]:
    """Read the names that bluefleet.devices exports, without importing ophyd."""
    source = Path(__file__).parent.parent / "devices" / "__init__.py"
    for statement in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in statement.targets
        ):
            return tuple(name for name in ast.literal_eval(statement.value) if name[:1].isupper())
    raise LookupError(f"{source} has no __all__")


def plan_problems(site: Site, checkout: Path) -> Iterator[Problem]:
    """Check that each module of plans is of a package that is in the worker's image."""
    folders = [path for package in site.acquisition.packages if (path := _sources(package, checkout)) is not None]
    allowed: list[str] = [*_WITH_PLANS]
    for package in site.acquisition.packages:
        allowed += top_level_names(package, checkout)
    for position, module in enumerate(site.acquisition.plans):
        location = ("acquisition", "plans", position)
        top = module.partition(".")[0]
        if top not in allowed:
            remedy = f"Add it to acquisition_packages, or name a module of {', '.join(allowed)}"
            yield Problem(location, module, f"package '{top}' is not in the worker's image", remedy)
            continue
        # Of a requirement only the image knows what is in it.
        roots = [folder for folder in folders if (folder / top).is_dir()]
        inside = Path(*module.split("."))
        if roots and not any(
            (root / inside / "__init__.py").is_file() or (root / inside).with_suffix(".py").is_file() for root in roots
        ):
            says = f"there is no {inside}.py in {roots[0]}"
            yield Problem(location, module, says, "Mend the name, or write that module")


def class_problems(site: Site, checkout: Path) -> Iterator[Problem]:
    """Check the class of every device of a site."""
    allowed: list[str] = [*_IN_EVERY_WORKER]
    for package in site.acquisition.packages:
        allowed += top_level_names(package, checkout)
    for n, node in enumerate(site.nodes):
        for i, instance in enumerate(node.instances):
            for d, device in enumerate(instance.devices):
                wrong = _unknown(device.class_path, allowed)
                if wrong:
                    location = ("nodes", n, "instances", i, "devices", d, "class")
                    yield Problem(location, device.class_path, *wrong)


def _unknown(path: str, allowed: list[str]) -> tuple[str, str] | None:
    top = path.partition(".")[0]
    if path.startswith(OWN_PACKAGE + "."):
        name = path.removeprefix(OWN_PACKAGE + ".")
        known = list(own_classes())
        return None if name in known else (f"{OWN_PACKAGE} has no class '{name}'", did_you_mean(name, known))
    if top in allowed:
        return None
    remedy = f"Add it to acquisition_packages, or use a class of {', '.join([OWN_PACKAGE, *allowed])}"
    return f"package '{top}' is not in the worker's image", remedy


def top_level_names(package: str, checkout: Path) -> list[str]:
    """Name what a requirement or a path lets one import."""
    root = _sources(package, checkout)
    if root is not None:
        return sorted(found.parent.name for found in root.glob("*/__init__.py"))
    name = re.split(r"[\s\[=<>!~;@]", package)[0]
    return [name.lower().replace("-", "_").replace(".", "_")]


def _sources(package: str, checkout: Path) -> Path | None:
    """Where the sources of a package are that is given as a path."""
    if not package.startswith((".", "/")):
        return None
    path = checkout / package
    return path / "src" if (path / "src").is_dir() else path
