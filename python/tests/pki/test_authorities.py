"""Authorities and certificates: what is made, kept, renewed, refused."""

import stat
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography import x509

Converge = Callable[..., dict[str, Any]]
SERVER = "hosts/node1/server"


def certificate(folder: Path, name: str = SERVER) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_a_second_converge_changes_nothing(converge: Converge, tmp_path: Path) -> None:
    assert converge()["changed"]
    before = certificate(tmp_path)
    assert converge()["changed"] == []
    assert certificate(tmp_path) == before


def test_check_mode_says_what_it_would_do_and_writes_nothing(converge: Converge, tmp_path: Path) -> None:
    assert f"{SERVER}.crt" in converge(write=False)["changed"]
    assert list(tmp_path.iterdir()) == []


def test_keys_are_for_their_owner_alone(converge: Converge, tmp_path: Path) -> None:
    converge()
    keys = list(tmp_path.rglob("*.key"))
    assert len(keys) == 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_a_certificate_says_what_was_declared(converge: Converge, tmp_path: Path) -> None:
    converge()
    extensions = certificate(tmp_path).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node1"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["172.30.77.21"]
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        x509.ExtendedKeyUsageOID.SERVER_AUTH
    ]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_new_address_reissues_that_certificate_alone(converge: Converge) -> None:
    converge()
    second = converge(names=("node1", "172.30.77.99"))
    assert second["changed"] == [f"{SERVER}.crt", f"{SERVER}.key"]
    assert second["lines"][SERVER].reason == "its names changed"


def test_a_certificate_is_renewed_within_the_threshold_and_not_before(converge: Converge) -> None:
    converge()
    assert converge(later=397 - 31)["changed"] == []
    assert converge(later=397 - 29)["lines"][SERVER].reason.startswith("ends ")


def test_a_certificate_never_outlives_its_authority_and_is_not_renewed_for_that(
    converge: Converge, tmp_path: Path
) -> None:
    converge()
    converge(later=3640)
    assert certificate(tmp_path).not_valid_after_utc == certificate(tmp_path, "site/ca").not_valid_after_utc
    assert converge(later=3641)["changed"] == []


def test_a_certificate_whose_key_is_another_is_made_again(converge: Converge, tmp_path: Path) -> None:
    converge()
    (tmp_path / f"{SERVER}.key").write_bytes((tmp_path / "clients/manager.key").read_bytes())
    assert converge()["changed"] == [f"{SERVER}.crt", f"{SERVER}.key"]


def test_an_authority_whose_key_is_lost_is_refused_in_words(
    converge: Converge, authorities: ModuleType, tmp_path: Path
) -> None:
    converge()
    (tmp_path / "site/ca.key").unlink()
    with pytest.raises(authorities.PkiError, match=r"Restore ca\.key from a backup"):
        converge()
