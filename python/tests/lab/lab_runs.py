"""Tiled on the host `data` of the laboratory, asked at its edge."""

from __future__ import annotations

import time

import httpx
from lab_door import ADDRESSES, LAB, trust

from patience import PATIENCE, ends_in


def tiled() -> httpx.Client:
    """A client of its HTTP API, with the key that reads."""
    key = (LAB / ".state/secrets/tiled_api_key").read_text(encoding="utf-8").strip()
    return httpx.Client(
        base_url=f"https://{ADDRESSES['data']}/tiled/api/v1/",
        headers={"Authorization": f"Apikey {key}"},
        verify=trust(),
        trust_env=False,
        timeout=60 * PATIENCE,
    )


def positions(uids: list[str], axis: str) -> list[float]:
    """Where each run measured, out of Tiled, once it is there."""
    found: list[float] = []
    with tiled() as client:
        for uid in uids:
            end = ends_in(30)
            while True:
                answer = client.get(f"metadata/runs/{uid}")
                if answer.is_success and "stop" in (metadata := answer.json()["data"]["attributes"]["metadata"]):
                    break
                assert time.monotonic() < end, f"Tiled has no run {uid}: {answer.text}"
                time.sleep(0.3)
            found.append(metadata["start"]["adaptive"]["point"][axis])
    return found
