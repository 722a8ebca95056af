"""Fixtures that several folders of tests share, and what failed before it was tried again."""

import pytest

from patience import PATIENCE

pytest_plugins = ["real_engine", "service_process", "x_display"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each test has its time, as long as this machine needs."""
    given = config.getoption("timeout")
    usual = float(config.getini("timeout") if given is None else given)
    for item in items:
        own = item.get_closest_marker("timeout")
        seconds = usual if own is None else float(own.args[0])
        item.add_marker(pytest.mark.timeout(seconds * PATIENCE), append=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were tried again: whether they passed then or not, it is to be mended."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}")
        terminalreporter.line(report.longreprtext)
