"""Which devices answer the queue's worker: a file that it keeps up to date."""

from pathlib import Path

from pydantic import BaseModel, ValidationError


class _Connection(BaseModel):
    connected: bool
    reason: str | None = None


class _Connections(BaseModel):
    devices: dict[str, _Connection]


def unreachable(file: Path) -> dict[str, str]:
    """Devices that do not answer the worker, each with the reason; empty when the worker tells nothing."""
    try:
        told = _Connections.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
    return {name: state.reason or "it does not answer" for name, state in told.devices.items() if not state.connected}
