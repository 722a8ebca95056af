"""A site's queue and its Tiled, as far as their HTTP APIs show them to who queues plans and reads runs back."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np

POSITIONS = np.linspace(-15, 15, 31)


class SiteStandIn:
    """The queue's state machine and one stored run, as far as their HTTP APIs show them."""

    def __init__(self, *, centre: float = 0.0) -> None:
        self.open = False
        self.queue: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.devices = ["motor_ph", "pinhole", "random_walk"]
        self.stopped_after = False
        self.exit_status, self.message = "completed", ""
        self.stored: dict[str, Any] | None = {"start": {"scan_id": 7}, "stop": {"exit_status": "success"}}
        counts = 100_000 * np.exp(-((POSITIONS - centre) ** 2) / 50)
        self.columns = {
            "seq_num": list(range(1, 32)),
            "motor_ph": POSITIONS.tolist(),
            "pinhole": counts.tolist(),
            "random_walk": [0.0] * 31,
        }
        self.opens = True

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        body = json.loads(request.content) if request.content else {}
        name = path.removeprefix("/api/").replace("/", "_")
        if path.startswith("/api/"):
            return httpx.Response(200, json={"success": True, **getattr(self, name)(body)})
        if path.startswith("/tiled/api/v1/metadata/"):
            if self.stored is None:
                return httpx.Response(404)
            return httpx.Response(200, json={"data": {"attributes": {"metadata": self.stored}}})
        if path.startswith("/tiled/api/v1/table/full/"):
            return httpx.Response(200, json=self.columns)
        return httpx.Response(404)

    def status(self, _: Any) -> dict[str, Any]:
        return {
            "manager_state": "idle",
            "worker_environment_exists": self.open,
            "worker_environment_state": "idle",
            "running_item_uid": None,
            "items_in_queue": len(self.queue),
            "re_state": "idle",
            "plan_queue_uid": str([item["item_uid"] for item in self.queue]),
            "plan_history_uid": str(len(self.history)),
        }

    def environment_open(self, _: Any) -> dict[str, Any]:
        self.open = self.opens
        return {}

    def devices_allowed(self, _: Any) -> dict[str, Any]:
        return {"devices_allowed": {name: {} for name in self.devices}}

    def queue_get(self, _: Any) -> dict[str, Any]:
        return {"items": self.queue}

    def queue_item_remove(self, body: Any) -> dict[str, Any]:
        self.queue = [item for item in self.queue if item["item_uid"] != body["uid"]]
        return {}

    def queue_item_add(self, body: Any) -> dict[str, Any]:
        item = {**body["item"], "item_uid": f"item {len(self.history)}"}
        assert body["pos"] == "front"
        self.queue.insert(0, item)
        return {"item": item}

    def queue_item_execute(self, body: Any) -> dict[str, Any]:
        return {"item": self._done({**body["item"], "item_uid": f"item {len(self.history)}"})}

    def queue_start(self, _: Any) -> dict[str, Any]:
        self._done(self.queue.pop(0))
        return {}

    def queue_stop(self, _: Any) -> dict[str, Any]:
        self.stopped_after = True
        return {}

    def history_get(self, _: Any) -> dict[str, Any]:
        return {"items": self.history}

    def _done(self, item: dict[str, Any]) -> dict[str, Any]:
        uids = ["a run"] if item["name"] in {"scan", "count"} else []
        status = self.exit_status if item["name"] == "scan" else "completed"
        self.history.append({**item, "result": {"exit_status": status, "run_uids": uids, "msg": self.message}})
        return item
