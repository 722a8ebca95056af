"""bluefleet: a Bluesky laboratory from one inventory."""
