"""The manager's libraries are fetched from where the site says, with the authorities that the site names."""

from pathlib import Path

import pytest

from role_files import load_role_file


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own.crt").write_text("own")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.crt"))
    (tmp_path / "site.crt").write_text("the site's")
    return tmp_path


def fetched_with(folder: Path, *sources: str) -> dict[str, str]:
    """What a stand-in for uv finds in its environment when the libraries are fetched."""
    action = load_role_file("fleet/action_plugins/manager_command.py")
    uv = folder / "uv"
    uv.write_text(
        '#!/bin/sh\nmkdir -p "$5"\n{ echo "index=$UV_DEFAULT_INDEX"; tr "\\n" "," <"$SSL_CERT_FILE"; echo; } >"$5/said"\n'
    )
    uv.chmod(0o755)
    (folder / "locks").mkdir()
    (folder / "locks" / "manager.txt").write_text("")
    found = action.libraries(folder, folder, str(uv), "3.13", "x86_64", sources=sources)
    index, authorities = (found / "said").read_text().splitlines()
    return {"index": index.removeprefix("index="), "authorities": ",".join(sorted(authorities.strip(",").split(",")))}


def test_the_site_index_and_its_authorities_are_handed_on(trusted: Path) -> None:
    said = fetched_with(trusted, "https://index.example/simple", str(trusted / "site.crt"))
    assert said == {"index": "https://index.example/simple", "authorities": "own,the site's"}


def test_a_site_without_either_leaves_the_machines_own(trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://machine.example/simple")
    assert fetched_with(trusted, "", "") == {"index": "https://machine.example/simple", "authorities": "own"}
