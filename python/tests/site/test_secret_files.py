"""Secrets of a site as files: made once, never shown, refused when others can read them."""

from pathlib import Path
from typing import Any

import pytest

from role_files import call_module

SECRETS = {"queue_api_key": {"length": 48}, "redis_password": {"length": 32}}


def call(directory: Path, *renewed: str, check_mode: bool = False, secrets: Any = SECRETS) -> dict[str, Any]:
    """Run the module as Ansible does, and return what it answers."""
    arguments = {
        "directory": str(directory),
        "record": str(directory.with_name("secrets.made")),
        "secrets": secrets,
        "renewed": list(renewed),
        "_ansible_check_mode": check_mode,
    }
    return call_module("_site/library/site_secret_files.py", arguments)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "secrets"


def test_each_secret_is_a_file_that_only_its_owner_reads(directory: Path) -> None:
    assert call(directory)["made"] == ["queue_api_key", "redis_password"]
    for name, declared in SECRETS.items():
        text = (directory / name).read_text()
        assert len(text) == declared["length"]
        assert text.isalnum()
        assert (directory / name).stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_second_call_changes_nothing(directory: Path) -> None:
    call(directory)
    before = (directory / "queue_api_key").read_text()
    assert call(directory)["changed"] is False
    assert (directory / "queue_api_key").read_text() == before


def test_check_mode_says_what_is_missing_and_makes_nothing(directory: Path) -> None:
    assert call(directory, check_mode=True)["changed"] is True
    assert not directory.exists()


def test_no_answer_holds_a_secret(directory: Path) -> None:
    printed = call(directory)["printed"] + call(directory)["printed"]
    assert not any((directory / name).read_text() in printed for name in SECRETS)


def test_a_secret_that_others_can_read_is_refused_with_the_remedy(directory: Path) -> None:
    call(directory)
    (directory / "redis_password").chmod(0o644)
    answer = call(directory)
    assert answer["failed"] is True
    assert f"chmod 600 {directory}/redis_password" in answer["msg"]


def test_an_empty_secret_is_refused(directory: Path) -> None:
    call(directory)
    (directory / "redis_password").write_text("")
    assert "is empty: put it back, or make a new one with playbooks/rotate_secrets.yml" in call(directory)["msg"]


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_secret_that_was_lost_is_refused_and_not_replaced_in_silence(directory: Path, check_mode: bool) -> None:
    call(directory)
    (directory / "redis_password").unlink()
    answer = call(directory, check_mode=check_mode)
    assert answer["failed"] is True
    assert f"{directory}/redis_password was made before and is gone: put it back from a backup" in answer["msg"]
    assert """rotate_secrets.yml -i <this inventory> -e '{"secrets": ["redis_password"]}'""" in answer["msg"]
    assert not (directory / "redis_password").exists()


def test_of_several_lost_secrets_the_remedy_of_one_is_that_of_all(directory: Path) -> None:
    call(directory)
    (directory / "queue_api_key").unlink()
    (directory / "redis_password").write_text("")
    both = """rotate_secrets.yml -i <this inventory> -e '{"secrets": ["queue_api_key", "redis_password"]}'"""
    assert call(directory)["msg"].count(both) == 2
    # Whoever asks for a new one of a part of them learns of the rest, and loses nothing of what was asked for.
    assert call(directory, "queue_api_key")["msg"].count(both) == 1
    assert call(directory, "queue_api_key", "redis_password")["made"] == ["queue_api_key", "redis_password"]
    assert call(directory)["changed"] is False


def test_a_secret_that_a_newer_version_declares_is_made(directory: Path) -> None:
    call(directory)
    assert call(directory, secrets={**SECRETS, "new": {"length": 8}})["made"] == ["new"]


def test_the_secrets_of_a_site_from_before_there_was_a_record_are_recorded(directory: Path) -> None:
    call(directory)
    directory.with_name("secrets.made").unlink()
    assert call(directory, check_mode=True)["changed"] is False
    assert not directory.with_name("secrets.made").exists()
    assert call(directory)["changed"] is False
    (directory / "redis_password").unlink()
    assert call(directory)["failed"] is True


@pytest.mark.parametrize("left", ["whole", "lost", "empty"])
def test_what_is_renewed_is_new_whatever_is_left_of_it(directory: Path, left: str) -> None:
    call(directory)
    before = {name: (directory / name).read_text() for name in SECRETS}
    if left == "lost":
        (directory / "redis_password").unlink()
    elif left == "empty":
        (directory / "redis_password").write_text("")
    assert call(directory, "redis_password")["made"] == ["redis_password"]
    after = {name: (directory / name).read_text() for name in SECRETS}
    assert after["queue_api_key"] == before["queue_api_key"]
    assert len(after["redis_password"]) == 32
    assert after["redis_password"] != before["redis_password"]


def test_what_an_interrupted_run_left_is_no_secret(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / ".queue_api_key.unfinished").write_text("half")
    call(directory)
    assert len((directory / "queue_api_key").read_text()) == 48
    assert not (directory / ".queue_api_key.unfinished").exists()
