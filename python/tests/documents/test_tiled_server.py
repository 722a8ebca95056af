"""What is mended of Tiled's server is known of one version of it."""

from pathlib import Path

LOCK = Path(__file__).parents[2] / "locks" / "tiled.txt"


def test_the_mend_is_for_the_version_of_the_image() -> None:
    """With another version: see whether `tiled.storage.SQLStorage` still shares one connection, then change this."""
    assert "\ntiled==0.2.20 " in LOCK.read_text()
