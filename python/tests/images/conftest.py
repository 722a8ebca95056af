"""The image builder is a program of role image, not a package: its modules are found beside its door."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
sys.path.insert(0, str(REPOSITORY / "roles" / "image" / "builder"))
