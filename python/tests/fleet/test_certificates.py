"""When certificates end is read from them without any library, and must be what one would say."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bluefleet.fleet._certificates import ends, ends_in_file


def certificate(end: datetime.datetime, serial: int = 1) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "x" * 60), x509.NameAttribute(NameOID.LOCALITY_NAME, "y" * 90)]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )


@pytest.mark.parametrize("year", [2026, 2049, 2050, 2126])
@pytest.mark.parametrize("serial", [1, 2**150])
def test_the_end_is_that_of_the_certificate(year: int, serial: int) -> None:
    end = datetime.datetime(year, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    assert ends(certificate(end, serial).public_bytes(serialization.Encoding.DER)) == end


def test_of_several_in_a_file_the_first_to_end_counts(tmp_path: Path) -> None:
    years = [datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2040, 2030, 2050)]
    file = tmp_path / "bundle.crt"
    file.write_bytes(b"".join(certificate(year).public_bytes(serialization.Encoding.PEM) for year in years))
    assert ends_in_file(file) == years[1]


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_told(text: str, tmp_path: Path) -> None:
    file = tmp_path / "some.crt"
    file.write_text(text)
    with pytest.raises(ValueError, match="certificate"):
        ends_in_file(file)
