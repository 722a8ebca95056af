"""SSH key pairs of the site, with the same three rotation phases as its authorities.

<name>, <name>.pub            the key that is used now
<name>.next, .next.pub        the one that will be: accepted already (rotation only)
<name>.previous.pub           the one that was: still accepted, its private half is gone (rotation only)
<name>.accepted               the lines of authorized_keys: all of the above
"""

from typing import Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519


class Store(Protocol):
    """What is needed of `site_authorities.Store`."""

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, or None."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Remember to write."""
        ...

    def remove(self, name: str) -> None:
        """Remember to remove."""
        ...


class SshKey:
    """One key pair in a store (see `site_authorities.Store`)."""

    def __init__(self, store: Store, name: str, comment: str) -> None:
        """Make the key when there is none."""
        self._store = store
        self._name = name
        self._comment = comment
        if store.read(f"{name}.key") is None or store.read(f"{name}.pub") is None:
            self._make(name)
        self._write_accepted()

    def introduce(self) -> None:
        """Make the next key; nothing when a rotation is under way."""
        under_way = (self._store.read(f"{self._name}.{stage}.pub") for stage in ("next", "previous"))
        if all(public is None for public in under_way):
            self._make(f"{self._name}.next")
        self._write_accepted()

    def promote(self) -> None:
        """Use the next key from here on."""
        key, public, current = (self._store.read(f"{self._name}{end}") for end in (".next.key", ".next.pub", ".pub"))
        if key is None or public is None or current is None:
            return
        if current != public:
            self._store.write(f"{self._name}.previous.pub", current)
            self._store.write(f"{self._name}.key", key)
            self._store.write(f"{self._name}.pub", public)
        self._store.remove(f"{self._name}.next.pub")
        self._store.remove(f"{self._name}.next.key")
        self._write_accepted()

    def retire(self) -> None:
        """Accept the old key no more."""
        self._store.remove(f"{self._name}.previous.pub")
        self._write_accepted()

    def _make(self, stem: str) -> None:
        key = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        self._store.write(f"{stem}.key", private)
        self._store.write(f"{stem}.pub", public + f" {self._comment}\n".encode())

    def _write_accepted(self) -> None:
        parts = [self._store.read(f"{self._name}{stem}.pub") for stem in ("", ".next", ".previous")]
        self._store.write(f"{self._name}.accepted", b"".join(part for part in parts if part))
