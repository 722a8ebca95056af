"""All engines share one TLS context: it trusts their authority alone, and is read again when its files are others."""

from pathlib import Path

from bluefleet.engine._adapters import TrustingAdapter
from bluefleet.engine._client import connect
from bluefleet.engine._endpoint import ClientCertificate, Deadlines, Endpoint
from tls_front import Authority, Fronts


def _files(folder: Path) -> ClientCertificate:
    authority = Authority(folder, "engines")
    authority.sign(folder / "manager", [])
    return ClientCertificate(authority.file, folder / "manager.crt", folder / "manager.key")


def test_engines_share_a_context_until_its_files_are_replaced(tmp_path: Path) -> None:
    files = _files(tmp_path)
    first = TrustingAdapter(files)._context
    assert TrustingAdapter(files)._context is first
    _files(tmp_path)
    assert TrustingAdapter(files)._context is not first


def test_no_public_authority_is_trusted_after_a_connection(tmp_path: Path) -> None:
    files = _files(tmp_path)
    fronts = Fronts(str(tmp_path / "nobody listens here"))
    hung = fronts.hung("127.0.0.1")
    client = connect(Endpoint("node1", f"https://{hung.address}:{hung.port}", files), Deadlines(), "1.41")
    client.allow(0.2)
    try:
        client.images()
    except Exception:  # noqa: BLE001, S110 (that it hangs is not what is claimed)
        pass
    finally:
        client.close()
        fronts.close()
    assert TrustingAdapter(files)._context.cert_store_stats()["x509_ca"] == 1
