"""What must not leave the site: its secrets, in whatever spelling a log may have them, private keys, and credentials."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote

# A shorter one would blot out ordinary words; the site's own have 32 letters and more.
_SHORTEST = 6
_KEY = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?(-----END \1-----|\Z)", re.DOTALL)
# Of a header, an environment or a URL: the word before stays, what follows it goes.
_CREDENTIALS = (
    re.compile(rb"(?i)(\b(?:apikey|bearer|basic)\s+)[A-Za-z0-9+/=_.~-]{8,}"),
    re.compile(rb"(?i)([\w-]*(?:password|passwd|secret|token|api[_-]?key)[\w-]*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;}]{6,}"),
    re.compile(rb"(://[^/\s:@]*:)[^/\s:@]+(?=@)"),
)
# What follows such a word and is no credential: the name of a file that holds it.
_FILE = re.compile(rb"^[/.]")


class Hidden:
    """Takes secrets out of texts."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        spelled = {form: name for name, value in secrets.items() for form in _spellings(value)}
        # The longest first: one secret may be part of another's spelling.
        self._known = sorted(spelled.items(), key=lambda one: len(one[0]), reverse=True)

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The secrets of a site, a file each."""
        files = sorted(one for one in folder.iterdir() if one.is_file()) if folder.is_dir() else []
        return cls({one.name: one.read_text(encoding="utf-8", errors="replace").strip() for one in files})

    def take_out(self, text: bytes) -> bytes:
        """The text without any of them; what was there is said by name."""
        for form, name in self._known:
            text = text.replace(form, f"[secret {name}]".encode())
        text = _KEY.sub(rb"[\1]", text)
        for pattern in _CREDENTIALS:
            text = pattern.sub(_without, text)
        return text


def _without(match: re.Match[bytes]) -> bytes:
    value = match.group(0)[len(match.group(1)) :]
    said = value.startswith(b"[secret") or _FILE.match(value)
    return match.group(0) if said else match.group(1) + b"[hidden]"


def _spellings(secret: str) -> Iterator[bytes]:
    if len(secret) < _SHORTEST:
        return
    yield from {secret.encode(), quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}
    # Base64 of something around it, as `user:password` is written: whatever the offset, these characters are the same.
    for before in range(3):
        raw = b"\0" * before + secret.encode()
        text = base64.b64encode(raw).rstrip(b"=")
        whole = text[(before * 8 + 5) // 6 : len(raw) * 8 // 6]
        if len(whole) >= _SHORTEST:
            yield whole
            yield whole.replace(b"+", b"-").replace(b"/", b"_")
