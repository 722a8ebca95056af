"""The API's description is kept in the repository: who writes a client reads it there, and a change shows."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from bluefleet.service import ServiceSettings, ServiceSettingsInvalid, openapi_text
from bluefleet.service._api import build
from bluefleet.service._asked import Asked

ROOT = Path(__file__).resolve().parents[3]


def test_the_description_in_the_repository_is_that_of_the_service() -> None:
    kept = (ROOT / "docs" / "reference" / "fleet-api.json").read_text(encoding="utf-8")
    assert kept == openapi_text(), "run: python -m bluefleet.service > docs/reference/fleet-api.json"


@pytest.mark.parametrize("told", [True, False], ids=["with its length", "in pieces"])
def test_a_stranger_cannot_fill_the_service_with_what_it_asks(told: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield b"[" * 40_000

    async def asked() -> httpx.Response:
        service = httpx.ASGITransport(build(None), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=service, base_url="http://fleet") as client:
            return await client.post("/stop", content=b"[" * 80_000 if told else pieces())

    assert asyncio.run(asked()).status_code == 413


@pytest.mark.parametrize("who", ["", " ", "a b", "ada\nroot", "x" * 65, "<script>"])
def test_a_name_is_one_word_of_harmless_letters(who: str) -> None:
    with pytest.raises(ValidationError):
        Asked.model_validate({"who": who})


def test_settings_come_from_the_environment_and_what_cannot_be_is_named() -> None:
    assert ServiceSettings.of({"BLUEFLEET_SERVICE_PERIOD": "7", "HOME": "/"}).period == 7
    with pytest.raises(ServiceSettingsInvalid, match="'often'") as refused:
        ServiceSettings.of({"BLUEFLEET_SERVICE_PERIOD": "often"})
    assert refused.value.variable == "BLUEFLEET_SERVICE_PERIOD"
