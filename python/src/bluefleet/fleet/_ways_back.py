"""What an instance that is not well with the version an operator chose can go back to, in words."""

from collections.abc import Sequence

from bluefleet.fleet._overrides import Override


def ways_back(place: str, overrides: Sequence[Override]) -> str:
    """How it gets another version; empty when nobody chose one."""
    kinds = {one.kind for one in overrides}
    if not kinds & {"pinned", "rolled-back"}:
        return ""
    # Of both it is what it was rolled back to that runs.
    further = " --further" if "rolled-back" in kinds else ""
    declared = f"`bluefleet clear {place}` and `bluefleet apply {place}` to what is declared"
    return f"`bluefleet rollback {place}{further}` goes back to what was before, {declared}"
