"""Refuses public keys that no SSH server would take: a person who can't log in has nobody to ask."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, cast

from bluefleet.inventory._finding import Finding
from bluefleet.inventory._source import Inventory
from bluefleet.inventory._values import Values
from bluefleet.inventory._yaml import is_template, line_at

_KINDS = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
# A kind, and the key behind it; options may stand before it, and a quoted one may hold blanks.
_OPTIONS = r'(?:[^\s"]|"(?:\\.|[^"\\])*")+\s+'
_KEY = re.compile(rf"(?:{_OPTIONS})?({'|'.join(map(re.escape, _KINDS))})\s+(\S+)")
_REMEDY = "Paste the one line of the person's .pub file, as ssh-keygen wrote it"


def public_key_findings(inventory: Inventory, values: Values) -> Iterator[Finding]:
    """Check the keys that people of desktops log in with."""
    for host in inventory.hosts:
        users, entry = values.of(host, "desktop_users")
        if entry is None or not isinstance(users, list):
            continue
        for position, user in enumerate(cast("list[Any]", users)):
            keys: Any = cast("dict[str, Any]", user).get("authorized_keys") if isinstance(user, dict) else None
            for number, key in enumerate(cast("list[Any]", keys) if isinstance(keys, list) else []):
                says = None if is_template(key) else wrong_with_key(str(key))
                if says:
                    yield Finding(
                        entry.file,
                        line_at(entry.node, (position, "authorized_keys", number)),
                        host,
                        f"{entry.name}[{position}].authorized_keys[{number}]",
                        key,
                        says,
                        _REMEDY,
                    )


def wrong_with_key(line: str) -> str | None:
    """Say what is wrong with a line of an authorized_keys file; None when it holds one public key."""
    found = _KEY.match(line.strip())
    if found is None:
        return f"this is no public key: a line of one begins with {', '.join(_KINDS[:-1])} or {_KINDS[-1]}"
    kind, encoded = found.groups()
    try:
        parts = _parts(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        return "this is no public key: what follows its kind does not decode"
    if parts[0] != kind.encode():
        return f"this is no public key: it says {kind}, and what follows is of another kind"
    if len(parts) < 2 or (kind == "ssh-ed25519" and len(parts[1]) != 32):
        return "this is no public key: a part of it is missing"
    return None


def _parts(blob: bytes) -> list[bytes]:
    """Take a key apart (RFC 4253, section 5: each part after its length in four bytes). Raises ValueError."""
    parts: list[bytes] = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            raise ValueError("cut off")
        parts.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    if not parts:
        raise ValueError("empty")
    return parts
