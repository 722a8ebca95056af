"""Lines of an htpasswd file, the same each time for the same password."""

import hashlib
from typing import Any

import bcrypt

# The passwords are random and long, a guess is hopeless at any cost; the registry computes the hash for each request.
_ROUNDS = 5


def htpasswd_line(password: str, user: str) -> str:
    """`user:hash`. The salt comes from the password, so that a converge finds the line unchanged."""
    digest = hashlib.sha256(f"{user}:{password}".encode()).digest()[:16]
    salt = f"$2b${_ROUNDS:02d}$".encode() + bcrypt_base64(digest)
    return f"{user}:{bcrypt.hashpw(password.encode(), salt).decode()}"


def bcrypt_base64(data: bytes) -> bytes:
    """bcrypt's own base64: another alphabet, no padding."""
    alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 6)
    return "".join(alphabet[int(bits[start : start + 6], 2)] for start in range(0, len(bits), 6)).encode()


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"htpasswd_line": htpasswd_line}
