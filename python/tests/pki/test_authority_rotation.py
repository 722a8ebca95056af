"""A rotation: at no moment is a certificate in use that somebody does not trust."""

import datetime
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

Converge = Callable[..., dict[str, Any]]


def trusted(folder: Path, bundle: bytes, now: datetime.datetime, leaf: bytes | None = None) -> bool:
    """Whether a client that holds `bundle` trusts the server certificate in `folder` (or `leaf`)."""
    verifier = PolicyBuilder().store(Store(x509.load_pem_x509_certificates(bundle))).time(now)
    pem = leaf or (folder / "hosts/node1/server.crt").read_bytes()
    try:
        verifier.build_server_verifier(x509.DNSName("node1")).verify(x509.load_pem_x509_certificate(pem), [])
    except VerificationError:
        return False
    return True


def test_every_neighbouring_pair_of_phases_trusts_each_other(
    converge: Converge, tmp_path: Path, now: datetime.datetime
) -> None:
    seen: list[tuple[bytes, bytes]] = []
    for phase in ("ensure", "introduce", "reissue", "retire"):
        converge(phase)
        seen.append(((tmp_path / "site/bundle.crt").read_bytes(), (tmp_path / "hosts/node1/server.crt").read_bytes()))
    # Hosts of a phase and of the next meet while it is rolled out: all four combinations must work.
    for before, after in pairwise(seen):
        for bundle in (before[0], after[0]):
            for leaf in (before[1], after[1]):
                assert trusted(tmp_path, bundle, now, leaf)


def test_after_a_rotation_the_old_authority_is_trusted_no_more(
    converge: Converge, tmp_path: Path, now: datetime.datetime
) -> None:
    converge()
    old = (tmp_path / "hosts/node1/server.crt").read_bytes()
    for phase in ("introduce", "reissue", "retire"):
        converge(phase)
    bundle = (tmp_path / "site/bundle.crt").read_bytes()
    assert bundle.count(b"BEGIN CERTIFICATE") == 1
    assert trusted(tmp_path, bundle, now)
    assert not trusted(tmp_path, bundle, now, old)
    assert sorted(path.name for path in (tmp_path / "site").iterdir()) == ["bundle.crt", "ca.crt", "ca.key"]


def test_a_converge_in_the_middle_of_a_rotation_changes_nothing(converge: Converge) -> None:
    for phase in ("ensure", "introduce", "reissue", "retire"):
        converge(phase)
        assert converge()["changed"] == []


def test_an_interrupted_rotation_goes_on_where_it_stopped(converge: Converge, tmp_path: Path) -> None:
    converge()
    converge("introduce")
    converge("reissue")
    certificate = (tmp_path / "hosts/node1/server.crt").read_bytes()
    assert converge("introduce")["changed"] == []
    assert converge("reissue")["changed"] == []
    converge("retire")
    assert (tmp_path / "hosts/node1/server.crt").read_bytes() == certificate


def test_a_promotion_that_stopped_after_its_key_is_finished(converge: Converge, tmp_path: Path) -> None:
    converge()
    converge("introduce")
    new = (tmp_path / "site/next.crt").read_bytes()
    (tmp_path / "site/previous.crt").write_bytes((tmp_path / "site/ca.crt").read_bytes())
    (tmp_path / "site/ca.key").write_bytes((tmp_path / "site/next.key").read_bytes())
    converge("reissue")
    assert (tmp_path / "site/ca.crt").read_bytes() == new


def test_retiring_before_reissuing_is_refused(converge: Converge, authorities: ModuleType) -> None:
    converge()
    converge("introduce")
    with pytest.raises(authorities.PkiError, match="run phase reissue before retire"):
        converge("retire")
