"""The manager's SSH key: made once, and never unaccepted while it is in use."""

from pathlib import Path
from types import ModuleType

NAME = "clients/manager-engine-ssh"


def run(authorities: ModuleType, ssh_keys: ModuleType, folder: Path, phase: str = "") -> list[str]:
    """One converge, or one phase of a rotation; what it wrote."""
    store = authorities.Store(folder)
    key = ssh_keys.SshKey(store, NAME, "manager")
    if phase:
        getattr(key, {"introduce": "introduce", "reissue": "promote", "retire": "retire"}[phase])()
    changed = sorted(store.pending)
    store.flush()
    return changed


def test_a_second_converge_changes_nothing(authorities: ModuleType, ssh_keys: ModuleType, tmp_path: Path) -> None:
    assert run(authorities, ssh_keys, tmp_path)
    assert run(authorities, ssh_keys, tmp_path) == []


def test_the_key_in_use_is_accepted_by_the_hosts_of_both_neighbouring_phases(
    authorities: ModuleType, ssh_keys: ModuleType, tmp_path: Path
) -> None:
    run(authorities, ssh_keys, tmp_path)
    accepted = (tmp_path / f"{NAME}.accepted").read_bytes()
    first = (tmp_path / f"{NAME}.pub").read_bytes()
    for phase in ("introduce", "reissue", "retire"):
        used = (tmp_path / f"{NAME}.pub").read_bytes()
        run(authorities, ssh_keys, tmp_path, phase)
        now_accepted = (tmp_path / f"{NAME}.accepted").read_bytes()
        now_used = (tmp_path / f"{NAME}.pub").read_bytes()
        for lines in (accepted, now_accepted):
            assert used in lines or phase == "retire"
            assert now_used in lines
        accepted = now_accepted
    assert (tmp_path / f"{NAME}.accepted").read_bytes() == (tmp_path / f"{NAME}.pub").read_bytes() != first
    assert sorted(path.name for path in (tmp_path / "clients").iterdir()) == [
        "manager-engine-ssh.accepted",
        "manager-engine-ssh.key",
        "manager-engine-ssh.pub",
    ]
