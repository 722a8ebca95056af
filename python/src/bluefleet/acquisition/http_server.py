"""Starts the queue's HTTP server with the site's API key, which stays out of its environment and its log.

bluesky_httpserver writes all its settings to the log when it starts, keys included; that one message is left out.
"""

# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the server is in its image only)
from __future__ import annotations

import logging
import os
from pathlib import Path

import uvicorn

KEY_FILE = "BLUEFLEET_QUEUE_API_KEY_FILE"


def without_settings(record: logging.LogRecord) -> bool:
    """Whether a log record may be written."""
    return not str(record.msg).startswith("APP settings")


def main() -> None:
    key = Path(os.environ[KEY_FILE]).read_text(encoding="utf-8").strip()
    # Read by the server's module when it is imported, below; /proc shows only the environment a process began with.
    os.environ["QSERVER_HTTP_SERVER_SINGLE_USER_API_KEY"] = key
    logging.getLogger("bluesky_httpserver.server").addFilter(without_settings)
    from bluesky_httpserver.server import app_factory

    # Its log of requests would show a key that somebody gives as a query.
    uvicorn.run(app_factory(), host="0.0.0.0", port=60610, access_log=False)  # noqa: S104  (the pod's own network)


if __name__ == "__main__":
    main()
