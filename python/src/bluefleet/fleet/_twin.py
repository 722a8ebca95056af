"""The mark of a twin: what it is made like may change, that it stands in for hardware does not."""

from collections.abc import Mapping

from bluefleet.engine import LABEL

SIMULATED_LABEL = f"{LABEL}.simulated"


def is_twin(labels: Mapping[str, str]) -> bool:
    """Whether a spec or a container with these labels is a twin."""
    return SIMULATED_LABEL in labels
