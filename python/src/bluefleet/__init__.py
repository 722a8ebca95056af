"""bluefleet: a Bluesky laboratory from one inventory."""

__version__ = "0.1.0"
