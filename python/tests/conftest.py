"""Fixtures that several folders of tests share."""

pytest_plugins = ["real_engine", "service_process", "x_display"]
