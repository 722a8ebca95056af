"""Fixtures that several folders of tests share, and what failed before it was tried again."""

import pytest

pytest_plugins = ["real_engine", "service_process", "x_display"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were tried again: whether they passed then or not, it is to be mended."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}")
        terminalreporter.line(report.longreprtext)
