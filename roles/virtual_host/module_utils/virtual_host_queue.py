"""The queue of the laboratory, asked whether a plan runs before a host is made anew."""

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path

DEADLINE = 10


def running_plan(url: str, key_file: Path, ca_file: Path) -> str:
    """The plan that the queue runs, in words; '' for none, and where no queue answers: nothing runs without one."""
    if not (url and key_file.exists() and ca_file.exists()):
        return ""
    context = ssl.create_default_context(cafile=str(ca_file))
    # No proxy lies on the way to it, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    key = key_file.read_text(encoding="utf-8").strip()

    def ask(path: str) -> dict:
        request = urllib.request.Request(f"{url}/{path}", headers={"Authorization": f"ApiKey {key}"})  # noqa: S310  # ours
        with opener.open(request, timeout=DEADLINE) as answer:
            return json.loads(answer.read())

    try:
        if ask("status").get("running_item_uid") is None:
            return ""
        item = ask("queue/get").get("running_item") or {}
        runs = ask("re/runs/active").get("run_list", [])
    except (OSError, ValueError):
        return ""
    named = f", run {', '.join(run['uid'] for run in runs)}" if runs else ""
    return f"plan {item.get('name', '?')}{named}"
