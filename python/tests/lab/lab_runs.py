"""Tiled on the host `data` of the laboratory, asked at its edge."""

from __future__ import annotations

import httpx
from lab_door import ADDRESSES, LAB, trust


def tiled() -> httpx.Client:
    """A client of its HTTP API, with the key that reads."""
    key = (LAB / ".state/secrets/tiled_api_key").read_text(encoding="utf-8").strip()
    return httpx.Client(
        base_url=f"https://{ADDRESSES['data']}/tiled/api/v1/",
        headers={"Authorization": f"Apikey {key}"},
        verify=trust(),
        trust_env=False,
        timeout=60,
    )
