"""What an engine answers becomes an error with the remedy that fits what was tried."""

import pytest
from docker.errors import ImageNotFound, NotFound

from bluefleet.engine import ContainerMissing, ImageMissing
from bluefleet.engine._client import _answered


@pytest.mark.parametrize("kind", [NotFound, ImageNotFound])
def test_a_digest_that_no_registry_has_is_no_missing_container(kind: type[NotFound]) -> None:
    words = "manifest for r:5000/ioc@sha256:12 not found: manifest unknown"
    found = _answered("node1", "pull r:5000/ioc at https://10.0.0.1:2376", kind(words, explanation=words))
    assert isinstance(found, ImageMissing)
    assert ("Check the digest" in found.remedy, "`bluefleet images`" in found.remedy) == (True, True)


def test_a_container_that_is_gone_is_made_by_apply() -> None:
    found = _answered("node1", "start it at https://10.0.0.1:2376", NotFound("gone", explanation="gone"))
    assert isinstance(found, ContainerMissing)
    assert found.remedy == "Run `bluefleet apply`"
