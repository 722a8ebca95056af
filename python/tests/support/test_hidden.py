"""No spelling of a secret gets into what leaves the site."""

from __future__ import annotations

import base64
import json
import os
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest

from bluefleet.support import Hidden, Source, _bundle, collect

SECRETS = {
    "queue_api_key": "Zx81kQ2mWv9Lr4Tn7Yb3Hc6Pd5Fg0JsA",
    "odd_password": 'p/4ss w"ord+?&',
    "part": "Lr4Tn7Yb3Hc6",
}
HIDDEN = Hidden(SECRETS)
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nAAAA\n-----END OPENSSH PRIVATE KEY-----"


def spellings() -> list[str]:
    found: list[str] = []
    for secret in SECRETS.values():
        found += [secret, quote(secret, safe=""), json.dumps({"key": secret}), f"x{secret}y", f'["{secret}"]']
        found += [base64.b64encode(f"{user}:{secret}".encode()).decode() for user in ("push", "pull", "a", "")]
        found.append(base64.urlsafe_b64encode(f"pull:{secret}\n".encode()).decode())
    return found


@pytest.mark.parametrize("text", spellings())
def test_a_secret_is_taken_out_however_it_is_spelled(text: str) -> None:
    clean = HIDDEN.take_out(f"before {text} after".encode()).decode()
    assert "before" in clean
    assert "after" in clean
    assert "[secret " in clean
    for secret in SECRETS.values():
        for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
            assert form not in clean
    # No base64 of what is left says it.
    for word in clean.split():
        padded = word + "=" * (-len(word) % 4)
        try:
            said = base64.b64decode(padded, altchars=b"-_", validate=True)
        except ValueError:
            continue
        assert not any(secret.encode() in said for secret in SECRETS.values())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"a {KEY} b", "a [OPENSSH PRIVATE KEY] b"),
        ("-----BEGIN PRIVATE KEY-----\nhalf of it", "[PRIVATE KEY]"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer [hidden]"),
        ("Authorization: ApiKey abcdefgh12345", "Authorization: ApiKey [hidden]"),
        ("REDIS_PASSWORD=hunter2hunter2 next", "REDIS_PASSWORD=[hidden] next"),
        ('{"api_key": "hunter2hunter2"}', '{"api_key": "[hidden]"}'),
        ("redis://:hunter2@host:6379/0", "redis://:[hidden]@host:6379/0"),
        ("PASSWORD_FILE=/run/secrets/redis_password", "PASSWORD_FILE=/run/secrets/redis_password"),
        ("nothing to hide: 12 plans wait", "nothing to hide: 12 plans wait"),
    ],
)
def test_keys_and_credentials_are_taken_out_whosever_they_are(text: str, left: str) -> None:
    assert HIDDEN.take_out(text.encode()).decode() == left


def test_the_secrets_are_those_of_the_site_s_folder(tmp_path: Path) -> None:
    (tmp_path / "redis_password").write_text("averylongpassword\n")
    assert Hidden.of(tmp_path).take_out(b"<averylongpassword>") == b"<[secret redis_password]>"
    assert Hidden.of(tmp_path / "nowhere").take_out(b"text") == b"text"


def test_a_bundle_has_what_could_be_had_says_what_could_not_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "bluefleet-lab.tar.gz"
    secret = SECRETS["queue_api_key"]
    sources = [
        Source("good.txt", ["echo", "well", secret], 10),
        Source("deep/bad.txt", ["sh", "-c", f"echo half; echo no {secret} >&2; exit 3"], 10),
        Source("slow.txt", ["sleep", "60"], 0.2),
        Source("missing.txt", ["/no/such/program"], 10),
        Source("sick.txt", ["sh", "-c", "echo sick; exit 1"], 10, good=(0, 1)),
    ]
    troubles = collect(sources, HIDDEN, file)
    assert troubles == [
        "deep/bad.txt: ended with 3: no [secret queue_api_key]",
        "slow.txt: not done within 0.2 s",
        "missing.txt: /no/such/program: No such file or directory",
    ]
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as bundle:
        texts = {member.name: bundle.extractfile(member).read().decode() for member in bundle}  # type: ignore[union-attr]
    assert texts["bluefleet-lab/good.txt"] == "well [secret queue_api_key]\n"
    assert texts["bluefleet-lab/sick.txt"] == "sick\n"
    assert "half" in texts["bluefleet-lab/deep/bad.txt"]
    assert texts["bluefleet-lab/troubles.txt"].splitlines() == troubles
    assert secret not in "".join(texts.values())
    with pytest.raises(FileExistsError):
        collect([], HIDDEN, file)


@pytest.mark.slow
def test_of_what_is_too_long_the_end_is_there_and_no_half_of_a_secret(tmp_path: Path) -> None:
    secret, file = SECRETS["queue_api_key"], tmp_path / "bluefleet-lab.tar.gz"
    # Wherever it is cut, it is within a secret, or within a key whose end alone is left.
    many = f"yes {secret}{secret}{secret} | head -n 100000; echo the end"
    key = f"echo '-----BEGIN PRIVATE KEY-----'; yes {'k' * 60} | head -n 150000; echo '-----END PRIVATE KEY-----'; echo over"
    assert (
        collect([Source("many.txt", ["sh", "-c", many], 60), Source("key.txt", ["sh", "-c", key], 60)], HIDDEN, file)
        == []
    )
    with tarfile.open(file) as bundle:
        said = {name.rpartition("/")[2]: bundle.extractfile(name).read() for name in bundle.getnames()}  # type: ignore[union-attr]
    assert said["many.txt"].endswith(b"the end\n")
    assert len(said["many.txt"]) <= 4 * 2**20
    for part in (secret[:8], secret[-8:], secret[10:20]):
        assert part.encode() not in said["many.txt"]
    assert said["key.txt"].strip() == b"over"


def test_what_is_read_is_held_to_its_end_only() -> None:
    reading, writing = os.pipe()
    end = _bundle._End(os.fdopen(reading, "rb"))
    with os.fdopen(writing, "wb") as out:
        for _ in range(40):
            out.write(b"x" * 2**20)
    end.text()
    assert len(end._kept) <= 2 * _bundle._MOST + _bundle._PIECE
