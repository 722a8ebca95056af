"""Only what is stale is built, parents first, a few at once; what fails is told with what to do."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from image_build import Builder, needed, urgency
from image_engine import Engine, EngineError, explained
from image_plan import Image


def image(name: str, *parents: str, internal: bool = False, space_mb: int = 10) -> Image:
    """An image of no content."""
    return Image(name, "1", parents, {}, {}, Path("/nowhere"), internal, space_mb)


IMAGES = {
    one.name: one
    for one in (
        image("base", internal=True),
        image("tools", "base", internal=True),
        image("large", "base", "tools", space_mb=900),
        image("small", "base", "tools"),
        image("other", "base"),
    )
}
WANTED = ["large", "small", "other"]


@dataclass(frozen=True)
class Recorded(Engine):
    """An engine that only notes what it was asked to build, and fails at what it is told to."""

    have: set[str] = field(default_factory=set)
    failing: frozenset[str] = frozenset()
    order: list[str] = field(default_factory=list)
    at_once: list[int] = field(default_factory=list)
    busy: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sizes(self, references: Iterable[str]) -> dict[str, int]:
        return {reference: 1 for reference in references if reference in self.have}

    def refuse_a_full_disk(self, images: Iterable[Image]) -> None:
        assert list(images)

    def forget_old(self, image: Image, keep: int) -> None:
        assert keep > 0, image.name

    def build(self, image: Image, log: Path) -> None:
        assert log.parent.is_dir()
        with self.lock:
            self.order.append(image.name)
            self.busy.add(image.name)
            self.at_once.append(len(self.busy))
            assert all(IMAGES[parent].reference in self.have for parent in image.parents), (
                f"{image.name}: no parent yet"
            )
        time.sleep(0.02)
        with self.lock:
            self.busy.remove(image.name)
            if image.name in self.failing:
                raise EngineError("broken")
            self.have.add(image.reference)


def build(engine: Recorded, tmp_path: Path, wanted: list[str] = WANTED, jobs: int = 2) -> list[dict[str, object]]:
    """Build and return what was reported."""
    reports: list[dict[str, object]] = []
    Builder(engine, tmp_path, jobs, lambda event, **values: reports.append({"event": event, **values})).build(
        IMAGES, wanted
    )
    return reports


def test_everything_is_built_once_parents_first_and_two_at_a_time(tmp_path: Path) -> None:
    engine = Recorded()
    build(engine, tmp_path)
    assert sorted(engine.order) == sorted(IMAGES)
    assert engine.order[0] == "base"
    assert max(engine.at_once) == 2


def test_what_takes_longest_is_begun_first(tmp_path: Path) -> None:
    engine = Recorded(have={IMAGES["base"].reference, IMAGES["tools"].reference})
    build(engine, tmp_path, jobs=1)
    assert engine.order[0] == "large"
    assert urgency(IMAGES, "base") == 10 + 10 + 900


def test_nothing_is_built_when_nothing_is_stale(tmp_path: Path) -> None:
    engine = Recorded(have={IMAGES[name].reference for name in WANTED})
    assert build(engine, tmp_path)[0]["stale"] == []
    assert engine.order == []


def test_an_absent_internal_image_is_built_only_for_who_needs_it() -> None:
    have = {IMAGES[name].reference: 1 for name in ("large", "small", "base")}
    assert needed(IMAGES, have, WANTED) == ["other"]
    del have[IMAGES["small"].reference]
    assert needed(IMAGES, have, WANTED) == ["tools", "small", "other"]


def test_a_failed_image_is_named_and_its_children_are_not_tried(tmp_path: Path) -> None:
    engine = Recorded(failing=frozenset({"tools"}))
    with pytest.raises(EngineError, match="image tools: broken"):
        build(engine, tmp_path)
    assert "large" not in engine.order


def test_a_build_by_somebody_else_is_waited_for_and_not_repeated(tmp_path: Path) -> None:
    engine = Recorded(have={IMAGES["base"].reference})
    both = [threading.Thread(target=build, args=(engine, tmp_path, ["other"])) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert engine.order == ["other"]


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("error: invalid peer certificate: UnknownIssuer", "site_ca_bundle"),
        ("Temporary failure resolving 'mirror.example'", "site_apt_mirror"),
        ("write /usr/lib/x: no space left on device", "docker system df"),
    ],
)
def test_a_failure_that_can_be_understood_comes_with_what_to_do(tmp_path: Path, said: str, remedy: str) -> None:
    log = tmp_path / "ioc.log"
    log.write_text(f"Step 1\n{said}\n")
    message = explained(1, log)
    assert said in message
    assert remedy in message
    assert str(log) in message


def test_a_full_disk_is_refused_with_how_much_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("image_engine.shutil.disk_usage", lambda _: type("Usage", (), {"free": 100_000_000})())
    monkeypatch.setattr(Engine, "run", lambda *_: type("Answer", (), {"stdout": str(tmp_path)})())
    with pytest.raises(
        EngineError, match=r"building large, small needs up to 910 MB in .*, 100 MB are free. Free 810 MB"
    ):
        Engine().refuse_a_full_disk([IMAGES["large"], IMAGES["small"]])
