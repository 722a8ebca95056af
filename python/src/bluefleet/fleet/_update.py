"""update and rollback: to what is declared or to chosen images, and back to the spec before, a few instances at a time."""

from collections.abc import Callable, Mapping

from bluefleet.fleet._applied import Applied, previous
from bluefleet.fleet._call import Call
from bluefleet.fleet._desired import Desired
from bluefleet.fleet._overrides import Override, OverrideKind, Overrides
from bluefleet.fleet._report import RollingReport, StepResult
from bluefleet.fleet._rolling import Change, Held, only, rolling
from bluefleet.fleet._selection import Selection, SelectionInvalid
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State
from bluefleet.fleet._ways_back import ways_back
from bluefleet.model import Image, Node, Site


async def update(
    site: Site,
    settings: Settings,
    selection: Selection,
    call: Call,
    *,
    serial: int = 1,
    images: Mapping[str, Image] | None = None,
) -> RollingReport:
    """Make the chosen instances what is declared, or with `images` (by key) run those that name such a key from them.

    The images are pins until `clear` or the next update, which also ends what a rollback put.
    Raises SelectionInvalid when nothing that was chosen runs from such an image, and StateUnusable.
    """
    pins = dict(images or {})

    def change(node: Node, one: Desired) -> Change:
        image = pins.get(one.declared.image)
        if image is None:
            return Change(taken=_of(one, "pinned", "rolled-back"))
        pin = _override(node, one, "pinned", image.reference, call)
        same = next((there for there in _of(one, "pinned") if there.value == pin.value), None)
        return Change(put=(same or pin,), taken=_of(one, "rolled-back"))

    chosen = only(selection, pins.__contains__) if pins else selection
    if pins and not chosen.names:
        raise SelectionInvalid(
            f"nothing that is chosen runs from {' or '.join(sorted(pins))}", f"Images are {', '.join(site.images)}"
        )
    options = {"images": {key: image.reference for key, image in pins.items()}}
    found = await rolling(site, settings, chosen, call, serial=serial, change_of=change, serially=serial, **options)
    return _with_ways_back(found, Overrides.now(State(settings.state_file)))


async def rollback(
    site: Site, settings: Settings, selection: Selection, call: Call, *, serial: int = 1, further: bool = False
) -> RollingReport:
    """Bring back the spec that each chosen instance was well with before the one that is desired now.

    What is rolled back already is left so (and finished, if it was interrupted), unless `further`. It stays until
    `clear` or the next update. Raises StateUnusable.
    """
    state = State(settings.state_file)
    whole = {chosen.node.name for chosen in selection if chosen.whole}
    to: dict[tuple[str, str], Applied] = {}

    def change(node: Node, one: Desired) -> Change:
        # Of a node, or of all, those go back that can.
        named = selection.named and node.name not in whole
        if one.simulated:
            raise Held(f"{one.simulated}; its twin has no earlier spec", refused=named)
        if _of(one, "rolled-back") and not further:
            return Change()
        found = previous(state, node.name, one.declared.name, one.spec.sha256)
        if found is None:
            raise Held("no earlier spec of it is recorded", refused=named)
        back = _override(node, one, "rolled-back", found.sha256, call)
        to[node.name, one.declared.name] = found
        return Change(put=(back,), taken=_of(one, "pinned"), back=found)

    options = {"further": further}
    found = await rolling(site, settings, selection, call, serial=serial, change_of=change, serially=serial, **options)
    return _with_ways_back(_with_earlier(found, to), Overrides.now(state))


def _with_earlier(report: RollingReport, to: Mapping[tuple[str, str], Applied]) -> RollingReport:
    """What would be done, and to which image, of when and by whom."""

    def told(node: str, step: StepResult) -> StepResult:
        found = to.get((node, step.instance))
        if step.outcome != "planned" or found is None:
            return step
        image = f"{found.spec.reference.partition('@')[0].rpartition('/')[2]}@{found.spec.digest[7:19]}"
        when = f" since {found.applied:%Y-%m-%d %H:%M} UTC" if found.applied else ""
        return step.model_copy(
            update={"reason": f"{step.reason}, back to what {found.who} applied, well{when}, from image {image}"}
        )

    return _each_step(report, told)


def _with_ways_back(report: RollingReport, now: Overrides) -> RollingReport:
    """What failed keeps the version that was chosen, and `apply` keeps to it: how it ends is told."""

    def told(node: str, step: StepResult) -> StepResult:
        chosen = [one for one in now.of(node, step.instance) if one.kind in {"pinned", "rolled-back"}]
        if step.outcome != "failed" or not chosen:
            return step
        stays = f"it stays {' and '.join(one.version for one in chosen)}"
        words = "; ".join([step.detail, stays, ways_back(f"{node}/{step.instance}", chosen)])
        return step.model_copy(update={"detail": words})

    return _each_step(report, told)


def _each_step(report: RollingReport, told: Callable[[str, StepResult], StepResult]) -> RollingReport:
    nodes = [node.model_copy(update={"steps": [told(node.name, one) for one in node.steps]}) for node in report.nodes]
    return report.model_copy(update={"nodes": nodes})


def _of(one: Desired, *kinds: OverrideKind) -> tuple[Override, ...]:
    return tuple(each for each in one.overrides if each.kind in kinds)


def _override(node: Node, one: Desired, kind: OverrideKind, value: str, call: Call) -> Override:
    return Override(
        node=node.name, instance=one.declared.name, kind=kind, value=value, who=call.who, reason=call.reason
    )
