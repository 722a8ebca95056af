"""The certificate authorities of a site and what they have signed, as files in one folder of the control machine.

    <authority>/ca.crt, ca.key         the authority that signs now
    <authority>/next.crt, next.key     the one that will: already trusted, signs nothing yet (rotation only)
    <authority>/previous.crt           the one that did: still trusted, its key is gone (rotation only)
    <authority>/bundle.crt             what hosts trust: all of the above
    <certificate name>.crt, .key       what was signed, PEM and PKCS #8 (which Java reads too)

Nothing here knows Ansible. Every decision is made against a `Store`, which writes all of it at the end or, in a dry
run, nothing. Keys are written before their certificates, so that an interruption leaves a pair that does not match
and is made again, never a certificate without its key.
"""

import datetime
import ipaddress
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Clocks of a site differ a little, and a host may be converged before its time is right.
_BACKDATED = datetime.timedelta(hours=1)
_USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


class PkiError(Exception):
    """A request that can't be met; the message says what to do."""


@dataclass(frozen=True)
class AuthoritySpec:
    """One authority: folder name, the words people see in a certificate's issuer, validity in days."""

    name: str
    common_name: str
    days: int


@dataclass(frozen=True)
class CertificateSpec:
    """One certificate: `name` is its path without ending; `names` are DNS names and IP addresses."""

    name: str
    authority: str
    common_name: str
    names: tuple[str, ...]
    usages: tuple[str, ...]
    days: int


@dataclass(frozen=True)
class Line:
    """One line of the expiry report."""

    name: str
    authority: str
    not_after: str
    days_left: int
    action: str
    reason: str


@dataclass
class Store:
    """A folder of files, seen through the changes that are still to be written."""

    folder: Path
    pending: dict[str, bytes | None] = field(default_factory=dict[str, bytes | None])

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, or None when there is none."""
        if name in self.pending:
            return self.pending[name]
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Remember to write; the order of writes is kept."""
        if self.read(name) != data:
            self.pending.pop(name, None)
            self.pending[name] = data

    def remove(self, name: str) -> None:
        """Remember to remove."""
        if self.read(name) is not None:
            self.pending.pop(name, None)
            self.pending[name] = None

    def flush(self) -> None:
        """Write everything, each file in one step."""
        for name, data in self.pending.items():
            path = self.folder / name
            if data is None:
                path.unlink(missing_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(path, data, 0o600 if path.suffix == ".key" else 0o644)
        self.pending.clear()


def _replace(path: Path, data: bytes, mode: int) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Authority:
    """One authority in its folder, with the three steps of a rotation."""

    def __init__(self, store: Store, spec: AuthoritySpec, now: datetime.datetime) -> None:
        self.spec = spec
        self.created = False
        self._store = store
        self._now = now
        self._finish_promotion()
        pair = self._load("ca")
        if pair is None:
            self._refuse_lost_key()
            pair = self._make("ca")
            self.created = True
        self.pair: _Pair = pair
        self._write_bundle()

    def introduce(self) -> None:
        """Make the next authority and trust it. Nothing to do when a rotation is already under way."""
        if self._load("next") is None and self._store.read(self._file("previous.crt")) is None:
            self._make("next")
        self._write_bundle()

    def promote(self) -> None:
        """From here on the next authority signs; what the old one signed stays trusted."""
        new = self._load("next")
        if new is None:
            return
        self._store.write(self._file("previous.crt"), _pem(self.pair.certificate))
        self._save("ca", new)
        self._store.remove(self._file("next.key"))
        self._store.remove(self._file("next.crt"))
        self.pair = new
        self._write_bundle()

    def retire(self) -> None:
        """Trust the old authority no more."""
        if self._load("next") is not None:
            msg = f"authority {self.spec.name}: the next one signs nothing yet; run phase reissue before retire"
            raise PkiError(msg)
        self._store.remove(self._file("previous.crt"))
        self._write_bundle()

    def line(self) -> Line:
        """Its line in the expiry report."""
        reason = "there was none" if self.created else None
        return _line(f"{self.spec.name}/ca", self.spec.name, self.pair.certificate, self._now, reason)

    def _file(self, name: str) -> str:
        return f"{self.spec.name}/{name}"

    def _load(self, stem: str) -> _Pair | None:
        return _load_pair(self._store, self._file(stem))

    def _save(self, stem: str, pair: _Pair) -> None:
        self._store.write(self._file(f"{stem}.key"), _key_pem(pair.key))
        self._store.write(self._file(f"{stem}.crt"), _pem(pair.certificate))

    def _finish_promotion(self) -> None:
        """A promotion that stopped between its key and its certificate: the key in place belongs to the next one."""
        key, certificate = self._store.read(self._file("ca.key")), self._store.read(self._file("next.crt"))
        if key is None or certificate is None:
            return
        pair = _matching(certificate, key)
        if pair is not None:
            self._save("ca", pair)
            self._store.remove(self._file("next.key"))
            self._store.remove(self._file("next.crt"))

    def _refuse_lost_key(self) -> None:
        if self._store.read(self._file("ca.crt")) is not None:
            where = self._store.folder / self._file("ca.crt")
            msg = (
                f"authority {self.spec.name}: {where} is there but its key is missing or another's. "
                f"Restore ca.key from a backup, or remove the folder {self._store.folder} to start anew: "
                "every host is then given new certificates"
            )
            raise PkiError(msg)

    def _make(self, stem: str) -> _Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        identifier = x509.SubjectKeyIdentifier.from_public_key(public)
        # Old and new stand side by side in a rotation: their names must differ.
        subject = _name(f"{self.spec.common_name} {identifier.digest.hex()[:8]}")
        certificate = (
            _builder(subject, subject, public, self._now, self._now + datetime.timedelta(days=self.spec.days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, hashes.SHA256())
        )
        pair = _Pair(certificate, key)
        self._save(stem, pair)
        return pair

    def _write_bundle(self) -> None:
        parts = [self._store.read(self._file(f"{stem}.crt")) for stem in ("ca", "next", "previous")]
        self._store.write(self._file("bundle.crt"), b"".join(part for part in parts if part))


def ensure_certificate(
    store: Store, spec: CertificateSpec, authority: Authority, renew_before_days: int, now: datetime.datetime
) -> Line:
    """Issue the certificate unless a good one is there; its line in the report says what was done and why."""
    pair = _load_pair(store, spec.name)
    reason = _why_issue(pair, spec, authority, renew_before_days, now)
    if pair is None or reason:
        pair = _issue(spec, authority, now)
        store.write(f"{spec.name}.key", _key_pem(pair.key))
        store.write(f"{spec.name}.crt", _pem(pair.certificate))
    return _line(spec.name, spec.authority, pair.certificate, now, reason or None)


def _why_issue(
    pair: _Pair | None, spec: CertificateSpec, authority: Authority, renew_before_days: int, now: datetime.datetime
) -> str:
    if pair is None:
        return "there was none, or it could not be read"
    certificate, issuer = pair.certificate, authority.pair.certificate
    end = certificate.not_valid_after_utc
    # What ends with its authority can't be made to last longer: the report says so, reissuing would not help.
    ends_soon = end - now < datetime.timedelta(days=renew_before_days) and end < issuer.not_valid_after_utc
    reasons = {
        "signed by another authority": not _signed_by(certificate, issuer),
        f"ends {end:%Y-%m-%d}": ends_soon,
        "its common name changed": certificate.subject != _name(spec.common_name),
        "its names changed": _names(certificate) != set(spec.names),
        "its usages changed": _usages(certificate) != {_USAGES[usage] for usage in spec.usages},
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _issue(spec: CertificateSpec, authority: Authority, now: datetime.datetime) -> _Pair:
    issuer = authority.pair
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    end = min(now + datetime.timedelta(days=spec.days), issuer.certificate.not_valid_after_utc)
    builder = (
        _builder(_name(spec.common_name), issuer.certificate.subject, public, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USAGES[usage] for usage in spec.usages]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )
    if spec.names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in spec.names]), critical=False
        )
    return _Pair(builder.sign(issuer.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(end)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in extension}


def _usages(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _load_pair(store: Store, stem: str) -> _Pair | None:
    certificate, key = store.read(f"{stem}.crt"), store.read(f"{stem}.key")
    return None if certificate is None or key is None else _matching(certificate, key)


def _matching(certificate_pem: bytes, key_pem: bytes) -> _Pair | None:
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = serialization.load_pem_private_key(key_pem, password=None)
    except ValueError:
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        return None
    return _Pair(certificate, key)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _line(name: str, authority: str, certificate: x509.Certificate, now: datetime.datetime, reason: str | None) -> Line:
    """`reason` None: it was there and good."""
    end = certificate.not_valid_after_utc
    return Line(
        name,
        authority,
        f"{end:%Y-%m-%dT%H:%M:%SZ}",
        (end - now).days,
        "kept" if reason is None else "issued",
        reason or "",
    )
