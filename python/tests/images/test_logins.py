"""A login in what names a package source gets into no layer of an image, and into no list of processes."""

from pathlib import Path
from typing import Any

import pytest

from image_plan import PlanError, Site, plan
from role_files import load_role_file
from sources_with_logins import SOURCES

DECLARED: dict[str, Any] = {
    "versions": {"debian_suite": "none", "debian_release": "1"},
    "images": {"base": {}},
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One whose base image starts from what a program makes, which notes that it was called."""
    folder = tmp_path / "images" / "base"
    folder.mkdir(parents=True)
    (folder / "Containerfile").write_text("ARG PARENT\nFROM ${PARENT}\n")
    (folder / "root").write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    (folder / "root").chmod(0o755)
    return tmp_path


def refusal(repository: Path, site: Site) -> str:
    """What is said of such a site's images; empty when they can be made."""
    try:
        plan(repository, DECLARED, ["base"], site)
    except PlanError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("variable", "site"),
    [
        ("site_pip_index", Site(pip_index="https://ada:s3cret@mirror.example/simple")),
        ("site_apt_mirror", Site(apt_mirror="https://s3cret@mirror.example")),
        ("acquisition_packages", Site(packages=("b7 @ git+https://s3cret@git.example/b7@v1",))),
    ],
)
def test_no_login_gets_into_a_layer(repository: Path, variable: str, site: Site) -> None:
    refused = refusal(repository, site)
    assert f"{variable}: there is a login in it" in refused
    assert "s3cret" not in refused


@pytest.mark.parametrize(("source", "login"), SOURCES.items())
def test_a_login_is_known_from_a_port_a_path_and_a_user(repository: Path, source: str, login: bool) -> None:
    assert bool(refusal(repository, Site(pip_index=source))) == login


def test_no_login_is_an_argument_of_a_program(repository: Path, tmp_path: Path) -> None:
    order = {
        "state": "planned",
        "repository": str(repository),
        "declared": DECLARED,
        "images": ["base"],
        **{key: {} for key in ("published", "uids", "registry")},
        **dict.fromkeys(("ca_bundle", "pip_index", "engine"), ""),
        "apt_mirror": "https://ada:s3cret@mirror.example/debian",
        "packages": [],
        "log_dir": str(tmp_path / "state" / "builds"),
    }
    with pytest.raises(PlanError, match="site_apt_mirror: there is a login in it"):
        load_role_file("image/builder/__main__.py").main(order)
    assert not (tmp_path / "called").exists()
