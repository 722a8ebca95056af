"""An image's tag follows from what it is made of, and from nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image_plan import Image, PlanError, Site, order, plan

Repository = tuple[Path, dict[str, Any]]


def tags(repository: Repository, site: Site | None = None) -> dict[str, str]:
    """The tag of every image."""
    folder, declared = repository
    images = plan(folder, declared, declared["images"], site or Site(uids={"ioc": 64109}))
    return {name: image.tag for name, image in images.items()}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """base ← tools, base ← ioc (built in tools, takes python/src), base ← other."""
    for name in ("base", "tools", "ioc", "other"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "Containerfile").write_text("ARG PARENT\nFROM ${PARENT}\n")
    (tmp_path / "python" / "src").mkdir(parents=True)
    (tmp_path / "python" / "src" / "code.py").write_text("one = 1\n")
    declared = {
        "versions": {"suite": "trixie", "unused": "1"},
        "images": {
            "base": {"uses": ["suite"], "site_ca_bundle": True},
            "tools": {"parent": "base", "internal": True},
            "ioc": {"parent": "base", "stages": ["tools"], "takes": ["python/src"], "users": ["ioc"]},
            "other": {"parent": "base"},
        },
    }
    return tmp_path, declared


def edit_taken(repository: Repository) -> None:
    (repository[0] / "python" / "src" / "code.py").write_text("one = 2\n")


def add_taken(repository: Repository) -> None:
    (repository[0] / "python" / "src" / "more.py").write_text("")


def edit_folder(repository: Repository) -> None:
    (repository[0] / "images" / "ioc" / "ioc").write_text("#!/bin/sh\n")


def make_program(repository: Repository) -> None:
    (repository[0] / "images" / "ioc" / "Containerfile").chmod(0o755)


def edit_stage(repository: Repository) -> None:
    (repository[0] / "images" / "tools" / "Containerfile").write_text("ARG PARENT\nFROM ${PARENT}\nRUN true\n")


@pytest.mark.parametrize("change", [edit_taken, add_taken, edit_folder, make_program, edit_stage])
def test_a_change_of_content_changes_the_tag_of_what_is_made_from_it_alone(
    repository: Repository, change: Callable[[Repository], None]
):
    before = tags(repository)
    change(repository)
    after = tags(repository)
    assert after["ioc"] != before["ioc"]
    assert after["other"] == before["other"]


def test_a_version_changes_the_image_that_uses_it_and_all_below(repository: Repository):
    before = tags(repository)
    repository[1]["versions"]["suite"] = "forky"
    after = tags(repository)
    assert all(after[name] != before[name] for name in before)


def test_a_version_nobody_uses_changes_nothing(repository: Repository):
    before = tags(repository)
    repository[1]["versions"]["unused"] = "2"
    assert tags(repository) == before


def test_times_caches_and_other_files_change_nothing(repository: Repository):
    before = tags(repository)
    code = repository[0] / "python" / "src" / "code.py"
    os.utime(code, (1, 1))
    (repository[0] / "python" / "src" / "__pycache__").mkdir()
    (repository[0] / "python" / "src" / "__pycache__" / "code.cpython-313.pyc").write_text("")
    (repository[0] / "README.md").write_text("")
    assert tags(repository) == before


def test_where_packages_come_from_changes_nothing(repository: Repository):
    uids = {"ioc": 64109}
    assert tags(repository, Site(uids=uids)) == tags(
        repository, Site(uids=uids, pip_index="https://index.example/simple")
    )


def test_the_site_s_authorities_change_every_image(repository: Repository, tmp_path: Path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("one")
    before = tags(repository, Site(uids={"ioc": 1}, ca_bundle=str(bundle)))
    bundle.write_text("two")
    after = tags(repository, Site(uids={"ioc": 1}, ca_bundle=str(bundle)))
    assert all(after[name] != before[name] for name in before)


def test_a_uid_changes_the_image_that_has_it(repository: Repository):
    before, after = tags(repository, Site(uids={"ioc": 1})), tags(repository, Site(uids={"ioc": 2}))
    assert before["ioc"] != after["ioc"]
    assert before["other"] == after["other"]


def test_a_missing_bundle_is_refused_by_the_name_of_its_variable(repository: Repository):
    with pytest.raises(PlanError, match=r"site_ca_bundle: /nowhere/ca\.pem: No such file"):
        tags(repository, Site(uids={"ioc": 1}, ca_bundle="/nowhere/ca.pem"))


def test_parents_come_before_children_and_unneeded_images_not_at_all(repository: Repository):
    assert order(repository[1]["images"], ["ioc"]) == ["base", "tools", "ioc"]


def test_an_unknown_image_is_refused_and_the_known_ones_are_named(repository: Repository):
    with pytest.raises(PlanError, match=r"no image 'iok'; it has: base, ioc, other, tools"):
        order(repository[1]["images"], ["iok"])


def test_a_circle_is_refused(repository: Repository):
    repository[1]["images"]["base"]["parent"] = "ioc"
    with pytest.raises(PlanError, match="own ancestor"):
        order(repository[1]["images"], ["ioc"])


def test_the_context_is_the_same_for_the_same_content(repository: Repository):
    folder, declared = repository
    site = Site(uids={"ioc": 1})
    first = plan(folder, declared, ["ioc"], site)["ioc"]
    os.utime(folder / "python" / "src" / "code.py", (1, 1))
    assert plan(folder, declared, ["ioc"], site)["ioc"].context() == first.context()


def test_the_site_s_packages_go_into_the_image_that_takes_them(repository: Repository, tmp_path: Path):
    repository[1]["images"]["other"]["site_packages"] = True
    package = tmp_path / "beamline"
    package.mkdir()
    (package / "pyproject.toml").write_text("[project]\n")
    image = _other(repository, (str(package), "lmfit==1.3.2"))
    assert image.files["site_packages/requirements.txt"][0] == b"./beamline\nlmfit==1.3.2\n"
    assert "site_packages/beamline/pyproject.toml" in image.files
    assert image.tag != _other(repository, ()).tag


@pytest.mark.parametrize(("package", "message"), [("lmfit", "not pinned"), ("./nowhere", "no pyproject.toml")])
def test_a_package_that_can_t_be_built_in_is_refused(repository: Repository, package: str, message: str):
    repository[1]["images"]["other"]["site_packages"] = True
    with pytest.raises(PlanError, match=f"acquisition_packages: .*{message}"):
        _other(repository, (package,))


def _other(repository: Repository, packages: tuple[str, ...]) -> Image:
    return plan(*repository, ["other"], Site(packages=packages))["other"]


def rooted(repository: Repository, root: str, mirror: str = "") -> Image:
    """The base image when it starts from that root."""
    folder, declared = repository
    (folder / "images" / "base" / "root").write_text("#!/bin/sh\n")
    site = Site(uids={"ioc": 64109}, roots={"base": root}, apt_mirror=mirror)
    return plan(folder, declared, declared["images"], site)["base"]


def test_a_pulled_and_a_bootstrapped_root_and_another_release_make_other_images(repository: Repository) -> None:
    roots = ("debian:trixie-1-pulled", "debian:trixie-1-bootstrapped", "debian:trixie-2-pulled")
    assert len({rooted(repository, root).tag for root in roots}) == len(roots)
    assert rooted(repository, roots[0]).arguments["PARENT"] == roots[0]


def test_the_mirror_of_the_site_reaches_the_root_whoever_made_it(repository: Repository) -> None:
    assert (
        rooted(repository, "r", "http://mirror.example/debian").arguments["APT_MIRROR"]
        == "http://mirror.example/debian"
    )
    assert "APT_MIRROR" not in rooted(repository, "r").arguments
