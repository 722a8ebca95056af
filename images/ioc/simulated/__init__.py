"""Simulated hardware of this project's own, beside caproto's examples: each module is an IOC."""
