"""Jupyter at data's edge: how its server is started, and the notebooks that are there at first."""
