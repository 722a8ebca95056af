"""What each image is made from, and the tag that follows from it. No engine, no registry, no network.

A tag is the first 12 digits of a sha256 over everything that can change the image: the files of its build context, its
build arguments and, through them, the tags of its parent and of the images its build stages start from.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = "bluefleet"
TAG_DIGITS = 12
CONTAINERFILE = "Containerfile"
ROOT = "root"
# Of git+ssh://git@host the user alone is no secret.
LOGIN = re.compile(r"://(?:[^/]*:[^/]*|(?<!ssh://)[^/]*)@")
IGNORED = ("__pycache__", ".pytest_cache", ".ruff_cache")
IGNORED_SUFFIXES = (".pyc", ".egg-info")


class PlanError(Exception):
    """The list of images contradicts itself or the files; the message says where and what would be right."""


@dataclass(frozen=True)
class Site:
    """What a site adds to the images: paths are on the control machine."""

    uids: Mapping[str, int] = field(default_factory=dict)
    ca_bundle: str = ""
    apt_mirror: str = ""
    pip_index: str = ""
    packages: tuple[str, ...] = ()
    # What images that start from nothing start from, by image; known once it was made.
    roots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Image:
    """One image of versions.yml with its build context (path in the context → content and whether it is a program)."""

    name: str
    tag: str
    parents: tuple[str, ...]
    arguments: Mapping[str, str]
    files: Mapping[str, tuple[bytes, bool]]
    folder: Path
    internal: bool
    space_mb: int
    unhashed: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The image's name in the engine that builds it."""
        return f"{REPOSITORY}/{self.name}:{self.tag}"

    @property
    def labels(self) -> dict[str, str]:
        """What the image says of itself; images are found by these, never by name."""
        return {
            "org.bluefleet.image": self.name,
            "org.opencontainers.image.title": f"bluefleet {self.name}",
            "org.opencontainers.image.version": self.tag,
            "org.opencontainers.image.licenses": "BSD-3-Clause",
        }

    def context(self) -> bytes:
        """The build context as a tar archive: the same for the same content, whatever the files' times and owners."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            content = {**self.files, **{name: (data, False) for name, data in self.unhashed.items()}}
            # One line, because the legacy builder makes a layer of each label given to it as an option.
            labels = " ".join(f'{key}="{value}"' for key, value in self.labels.items())
            content[CONTAINERFILE] = (self.files[CONTAINERFILE][0] + f"\nLABEL {labels}\n".encode(), False)
            for name, (data, program) in sorted(content.items()):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                entry.mode = 0o755 if program else 0o644
                archive.addfile(entry, io.BytesIO(data))
        return buffer.getvalue()


def files_below(root: Path) -> dict[str, tuple[bytes, bool]]:
    """Every file of a folder (or the one file) by its path below it; what tools leave behind is not part of it."""
    if root.is_file():
        return {"": _content(root)}
    if not root.is_dir():
        raise PlanError(f"{root}: no such file or folder, but images/versions.yml takes it")
    found: dict[str, tuple[bytes, bool]] = {}
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        ignored = any(part in IGNORED or part.endswith(IGNORED_SUFFIXES) for part in relative.parts)
        if path.is_file() and not ignored:
            found[relative.as_posix()] = _content(path)
    return found


def _content(path: Path) -> tuple[bytes, bool]:
    return path.read_bytes(), bool(path.stat().st_mode & 0o100)


def order(declared: Mapping[str, Mapping[str, Any]], wanted: Iterable[str]) -> list[str]:
    """The wanted images and all they are made from, parents first."""
    done: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise PlanError(f"images/versions.yml: {' → '.join((*path, name))}: an image can't be its own ancestor")
        if name not in declared:
            needed = f" (needed by {path[-1]})" if path else ""
            raise PlanError(f"images/versions.yml has no image '{name}'{needed}; it has: {', '.join(sorted(declared))}")
        for parent in ancestors(declared[name]):
            visit(parent, (*path, name))
        if name not in done:
            done.append(name)

    for name in wanted:
        visit(name, ())
    return done


def ancestors(entry: Mapping[str, Any]) -> list[str]:
    """The images an entry starts from: its parent and those of its build stages."""
    return [*([entry["parent"]] if entry.get("parent") else []), *entry.get("stages", [])]


def root_programs(repository: Path, declared: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, Path]:
    """The programs that make what the wanted images and their ancestors start from, by image."""
    names = [name for name in order(declared["images"], wanted) if not declared["images"][name].get("parent")]
    programs = {name: repository / "images" / name / ROOT for name in names}
    return {name: program for name, program in programs.items() if program.is_file()}


def plan(repository: Path, declared: Mapping[str, Any], wanted: Iterable[str], site: Site) -> dict[str, Image]:
    """The wanted images and their ancestors, parents first. `declared` is the content of images/versions.yml."""
    refuse_logins(site)
    images: dict[str, Image] = {}
    for name in order(declared["images"], wanted):
        images[name] = _image(repository, name, declared, images, site)
    return images


def refuse_logins(site: Site) -> None:
    """What names a package source stays in layers. Validation sees what is written; this is for what templates give."""
    sources = {"site_apt_mirror": (site.apt_mirror,), "site_pip_index": (site.pip_index,)}
    for variable, values in {**sources, "acquisition_packages": site.packages}.items():
        if any(LOGIN.search(value) for value in values):
            raise PlanError(
                f"{variable}: there is a login in it, which would stay in layers of images; "
                "write it without, and let that server admit this machine by its address"
            )


def _image(repository: Path, name: str, declared: Mapping[str, Any], known: Mapping[str, Image], site: Site) -> Image:
    entry: Mapping[str, Any] = declared["images"][name]
    folder = repository / "images" / name
    files = files_below(folder)
    if CONTAINERFILE not in files:
        raise PlanError(f"{folder}/{CONTAINERFILE}: no such file, but images/versions.yml lists image '{name}'")
    for taken in entry.get("takes", []):
        for below, content in files_below(repository / taken).items():
            files[f"{taken}/{below}" if below else taken] = content
    if entry.get("site_ca_bundle") and site.ca_bundle:
        files["site_ca_bundle.crt"] = (_bundle(site.ca_bundle), False)
    if entry.get("site_packages"):
        files.update(_site_packages(repository, site.packages))

    arguments = {_argument(key): str(declared["versions"][key]) for key in entry.get("uses", [])}
    arguments |= {_argument(stage): known[stage].reference for stage in entry.get("stages", [])}
    if entry.get("parent"):
        arguments["PARENT"] = known[entry["parent"]].reference
    elif ROOT in files:
        # The name says how it was made: a pulled root and a bootstrapped one are not the same image.
        arguments["PARENT"] = site.roots.get(name, "not made yet")
        # The image keeps it as its package source, and all that is made from it.
        arguments |= {"APT_MIRROR": site.apt_mirror} if site.apt_mirror else {}
    users = entry.get("users", [])
    if users:
        arguments["USERS"] = " ".join(f"{user}:{site.uids[user]}" for user in users)
        arguments["USER_ID"] = str(site.uids[users[0]])

    return Image(
        name=name,
        tag=tag_of(files, arguments),
        parents=tuple(ancestors(entry)),
        arguments=arguments,
        files=files,
        folder=folder,
        internal=bool(entry.get("internal")),
        space_mb=int(entry.get("space_mb", 0)),
        # Where packages come from does not change what they are: the locks hold their hashes.
        unhashed={"pip_index": site.pip_index.encode()} if site.pip_index else {},
    )


def _argument(key: str) -> str:
    return key.upper().replace("-", "_")


def _bundle(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PlanError(
            f"site_ca_bundle: {path}: {error.strerror}; give the path of a file with PEM certificates, or ''"
        ) from error


def _site_packages(repository: Path, packages: Iterable[str]) -> dict[str, tuple[bytes, bool]]:
    """`acquisition_packages` as files of the context: paths as folders, all else as lines of a requirements file."""
    files: dict[str, tuple[bytes, bool]] = {}
    requirements: list[str] = []
    for package in packages:
        source = (repository / package).resolve()
        if not package.startswith((".", "/")):
            if "==" not in package and "@" not in package:
                raise PlanError(
                    f"acquisition_packages: '{package}' is not pinned; "
                    f"write '{package}==<version>', or a path that starts with ./ or /"
                )
            requirements.append(package)
            continue
        if not (source / "pyproject.toml").is_file():
            raise PlanError(
                f"acquisition_packages: {package}: no pyproject.toml in {source}; give the folder of a Python package"
            )
        inside = f"site_packages/{source.name}"
        requirements.append(f"./{source.name}")
        files |= {f"{inside}/{below}": content for below, content in files_below(source).items()}
    if requirements:
        files["site_packages/requirements.txt"] = ("".join(f"{line}\n" for line in requirements).encode(), False)
    return files


def tag_of(files: Mapping[str, tuple[bytes, bool]], arguments: Mapping[str, str]) -> str:
    """The tag of a content; order, times and owners of files don't count."""
    digest = hashlib.sha256()
    for name, (data, program) in sorted(files.items()):
        digest.update(f"file {name} {program} {hashlib.sha256(data).hexdigest()}\n".encode())
    for key, value in sorted(arguments.items()):
        digest.update(f"argument {key} {value}\n".encode())
    return digest.hexdigest()[:TAG_DIGITS]
