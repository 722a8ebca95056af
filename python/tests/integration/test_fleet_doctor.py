"""doctor against this machine's own engine: what is wrong is told with where and what to do, within its time."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from bluefleet.cli import doctor as command
from bluefleet.fleet import Check, DoctorReport, Override, Settings, State, apply, doctor, history
from bluefleet.fleet._lock import node_lock
from bluefleet.fleet._overrides import put
from bluefleet.model import Site
from real_engine import MakeSite, Seen
from small_registry import SmallRegistry
from tls_front import Authority, Fronts


def instance(word: str) -> dict[str, Any]:
    return {"name": word, "image": "tiny", "stop_grace_seconds": 0}


def applied(site: Site, settings: Settings) -> None:
    assert asyncio.run(apply(site, settings, check=False, interrupt_runs=False, progress=lambda _: None)).ok


def examined(site: Site, settings: Settings, **more: Any) -> DoctorReport:
    return asyncio.run(doctor(site, settings, **{"answer": 3.0, **more}))


def wrong(report: DoctorReport) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for one in report.checks:
        if one.outcome != "ok":
            assert one.remedy, one
            # Certificates of tests end tomorrow.
            if "days" not in one.what:
                found.setdefault(one.check, []).append(one)
    return found


def test_all_that_is_well_is_listed(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    site = make_site({"node1": [instance(word)]})
    applied(site, settings)
    report = examined(site, settings)
    assert (report.ok, wrong(report)) == (True, {})
    looked_at = {one.check for one in report.checks}
    assert looked_at >= {"site file", "node", "image", "certificate", "registry", "lock", "override", "disk"}


def test_everything_that_is_wrong_is_told_at_once(
    make_site: MakeSite, settings: Settings, registry: SmallRegistry, seen: Seen
) -> None:
    word = seen.site
    site = make_site({"node1": [instance(word)]}, hung=("node2",))
    state = State(settings.state_file)
    long_ago = datetime.now(UTC) - timedelta(days=30)
    put(state, [Override(node="node2", kind="cordoned", who="ada", reason="beam time", since=long_ago)])
    history.begin(state, "bob", "update", ["node1"], {})
    registry.close()
    begin = time.monotonic()
    report = examined(site, settings, answer=1.0)
    assert time.monotonic() - begin < 6
    found = wrong(report)
    assert not report.ok
    assert set(found) == {"node", "instance", "image", "registry", "override", "history"}
    assert found["node"][0].where.startswith("node2")
    assert found["instance"][0].where == f"node1/{word}"
    assert "`bluefleet apply node1` fetches it" in found["image"][0].remedy
    assert "nothing listens" in found["registry"][0].what
    assert (found["override"][0].where, found["override"][0].outcome) == ("node2", "warning")
    assert "beam time" in found["override"][0].what
    assert "`bluefleet update` of bob" in found["history"][0].what
    assert report.checks[0].outcome == "failed"


def test_a_certificate_that_ended_is_told_by_file_and_by_server(
    make_site: MakeSite, settings: Settings, fronts: Fronts, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other", "engines")
    other.sign(tmp_path / "other" / "server", ["127.0.0.28"], expired=True)
    other.sign(tmp_path / "other" / "client", [], expired=True)
    front = fronts.engine("127.0.0.28", tmp_path / "other" / "server", other.file)
    (settings.engine_certificate / "cert.pem").write_bytes((tmp_path / "other" / "client.crt").read_bytes())
    site = make_site({"node1": []})
    node = site.nodes[0].model_copy(update={"address": front.address, "port": front.port})
    told = wrong(examined(site.model_copy(update={"nodes": [node]}), settings))["certificate"]
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    assert sorted((one.where.split(" (")[0].rpartition("/")[2], one.what) for one in told) == [
        ("cert.pem", f"ended on {yesterday}"),
        ("engine of node1", f"ended on {yesterday}"),
    ]


def test_a_lock_that_somebody_forgot_is_told_with_its_process(
    make_site: MakeSite, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site({"node1": []})
    now = time.time()

    async def held() -> DoctorReport:
        with monkeypatch.context() as then:
            then.setattr("bluefleet.fleet._lock.time.time", lambda: now - 3 * 3600)
            lock = node_lock(settings.locks_folder, "node1", who="bob", verb="update", wait=0)
            await lock.__aenter__()
        try:
            return await doctor(site, settings, answer=3.0)
        finally:
            await lock.__aexit__(None, None, None)

    (told,) = wrong(asyncio.run(held()))["lock"]
    assert (told.where, told.outcome) == ("node1", "warning")
    assert "bob (`bluefleet update`" in told.what
    assert "end process" in told.remedy


def test_the_command_ends_with_what_it_found(
    make_site: MakeSite, settings: Settings, monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    monkeypatch.setenv("BLUEFLEET_ETC", str(settings.etc))
    monkeypatch.setenv("BLUEFLEET_LIB", str(settings.lib))
    settings.site_file.write_text("schema_version: 1\nsite: [\n")
    broken = CliRunner().invoke(command.app, ["--json"])
    assert (broken.exit_code, json.loads(broken.stdout)["checks"][0]["check"]) == (2, "site file")

    site = make_site({"node1": [instance(seen.site)]})
    settings.site_file.write_text(yaml.safe_dump(site.model_dump(mode="json", by_alias=True)))
    sick = CliRunner().invoke(command.app, ["--quiet"])
    assert sick.exit_code == 1
    assert "failed   instance, node1/" in sick.stdout
    applied(site, settings)
    assert CliRunner().invoke(command.app, []).exit_code == 0
