"""Starts the queue's HTTP server with the site's API key, which stays out of its environment and its log.

bluesky_httpserver writes all its settings to the log when it starts, keys included; that one message is left out. And the
console's text that somebody asked for once is what everybody got for ever after: bluesky-queueserver-api 0.0.13 keeps a text
for each number of lines, also when more was written since. What a holder of the key may do is in http_server.yaml.
"""

# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the server is in its image only)
from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import uvicorn

KEY_FILE = "BLUEFLEET_QUEUE_API_KEY_FILE"


def without_settings(record: logging.LogRecord) -> bool:
    """Whether a log record may be written."""
    return not str(record.msg).startswith("APP settings")


def with_todays_text(generate: Callable[[Any, int | None], str]) -> Callable[[Any, int | None], str]:
    """A console monitor's `_text_generate` that makes the text anew each time."""

    def text(monitor: Any, nlines: int | None) -> str:
        # There is no other way in.
        monitor._text.clear()
        return generate(monitor, nlines)

    return text


def main() -> None:
    key = Path(os.environ[KEY_FILE]).read_text(encoding="utf-8").strip()
    # Read by the server's module when it is imported, below; /proc shows only the environment a process began with.
    os.environ["QSERVER_HTTP_SERVER_SINGLE_USER_API_KEY"] = key
    logging.getLogger("bluesky_httpserver.server").addFilter(without_settings)
    from bluesky_httpserver.server import app_factory
    from bluesky_queueserver_api.console_monitor import _ConsoleMonitor

    _ConsoleMonitor._text_generate = with_todays_text(_ConsoleMonitor._text_generate)
    with resources.as_file(resources.files("bluefleet.acquisition").joinpath("http_server.yaml")) as settings:
        os.environ["QSERVER_HTTP_SERVER_CONFIG"] = str(settings)
        app = app_factory()
    # Its log of requests would show a key that somebody gives as a query.
    uvicorn.run(app, host="0.0.0.0", port=60610, access_log=False)  # noqa: S104  (the pod's own network)


if __name__ == "__main__":
    main()
