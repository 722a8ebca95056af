"""The laboratory's power unit, asked from the control machine."""

from __future__ import annotations

from typing import Any

import httpx
from lab_door import LAB, trust

from patience import PATIENCE

ADDRESS = "172.30.77.2"
TOKEN = LAB / ".state" / "secrets" / "power_unit_token"


def ask_unit(method: str, path: str, token: str | None = None) -> tuple[int, dict[str, Any]]:
    """Status and content of an answer; with the site's own token unless another is given."""
    headers = {"Authorization": f"Bearer {TOKEN.read_text() if token is None else token}"}
    with httpx.Client(verify=trust(), trust_env=False, timeout=60 * PATIENCE) as client:
        answer = client.request(method, f"https://{ADDRESS}{path}", headers=headers)
    return answer.status_code, answer.json()
