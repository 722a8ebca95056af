"""The fleet service, a process, against this machine's own engine over mutual TLS."""

import asyncio
import resource
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from test_fleet_operate import applied, did, marked, sleeper

from bluefleet.fleet import Backoff, Reconciler, Settings, State, cordon, history
from bluefleet.fleet._applied import on_node
from bluefleet.fleet._lock import node_lock
from bluefleet.fleet._troubles import troubles
from bluefleet.model import Site
from real_engine import MakeSite, Seen, docker
from service_process import Serve, ServiceProcess, declare

PARK = "/bin/bash"
# Healthy as long as there is no file /sick, which `sicken` makes.
CHECKED = {
    "health": {
        "command": [PARK, "-c", "[ ! -e /sick ]"],
        "interval_seconds": 0.3,
        "retries": 1,
        "start_period_seconds": 0,
    }
}


def sicken(instance: str) -> None:
    """Its health check fails from now on, through restarts too."""
    docker("exec", f"bluefleet-{instance}", PARK, "-c", "echo > /sick")


def began(seen: Seen, instance: str) -> str:
    return seen.inspect(f"bluefleet-{instance}")["State"]["StartedAt"]


def running(service: ServiceProcess, *instances: str) -> None:
    """Wait until the service has seen that they run."""
    service.until(lambda: all(service.instance(one).get("state") == "running" for one in instances))


def test_what_is_killed_by_hand_comes_back(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    cam1 = f"{word}-cam1"
    site = make_site({"node1": [sleeper(cam1)]})
    declare(site, settings)
    applied(site, settings)
    before = seen.ids()
    # Its period is out of reach: the engine's own event is what it acts on.
    with serve(PERIOD="600") as service:
        running(service, cam1)
        docker("kill", f"bluefleet-{cam1}")
        service.until(lambda: seen.ids() == before)
        assert service.until(lambda: service.instance(cam1)["tries"]) == 1
        (entry,) = service.get("/history", verb="reconcile")["entries"]
        assert (entry["who"], entry["targets"], entry["result"]) == ("fleet service", [f"node1/{cam1}"], "ok")


def test_what_was_removed_by_hand_comes_back(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    site = make_site({"node1": [sleeper(word)]})
    declare(site, settings)
    applied(site, settings)
    with serve() as service:
        running(service, word)
        docker("rm", "--force", f"bluefleet-{word}")
        service.until(lambda: f"bluefleet-{word}" in seen.ids())


def test_what_is_unhealthy_for_ever_is_given_up_and_said_so_until_somebody_starts_it(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    cam1, cam10 = f"{word}-cam1", f"{word}-cam10"
    site = make_site({"node1": [sleeper(cam1, **CHECKED), sleeper(cam10, **CHECKED)]})
    declare(site, settings)
    applied(site, settings)
    untouched = began(seen, cam10)
    with serve(TRIES="2") as service:
        running(service, cam1, cam10)
        sicken(cam1)
        service.until(lambda: service.instance(cam1)["gave_up"])
        said = service.instance(cam1)
        assert said["tries"] == 2
        assert "its health check fails; the fleet service gave up since" in said["reason"]
        assert f"`bluefleet start node1/{cam1}` lets it try again" in said["reason"]
        (entry,) = service.get("/history", verb="give-up")["entries"]
        assert (entry["targets"], entry["result"]) == ([f"node1/{cam1}"], "failed")
        assert len(service.get("/history", verb="reconcile")["entries"]) == 2
        last = began(seen, cam1)

    # Another service knows it still: the manager was restarted.
    with serve(TRIES="2") as service:
        service.until(lambda: service.instance(cam1).get("gave_up"))
        assert began(seen, cam1) == last
        service.post("start", cam1)
        service.until(lambda: began(seen, cam1) != last)
        service.until(lambda: service.instance(cam1)["gave_up"])
        # A new spec is a new thing, whoever made it.
        changed = make_site({"node1": [sleeper(cam1, user="0", **CHECKED), sleeper(cam10, **CHECKED)]})
        declare(changed, settings)
        applied(changed, settings, cam1)
        service.until(lambda: service.instance(cam1)["health"] == "healthy")
        service.until(lambda: (service.instance(cam1)["tries"], service.instance(cam1)["gave_up"]) == (0, None))
    assert began(seen, cam10) == untouched


def test_a_give_up_lasts_until_it_should_be_something_else(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    clock = [datetime(2026, 3, 1, tzinfo=UTC)]
    reconciler = Reconciler(settings, Backoff(first=10, tries=1), now=lambda: clock[0])

    def looked(site: Site) -> list[tuple[str, str]]:
        found = asyncio.run(reconciler.node(site, site.nodes[0]))
        return [(step.action, step.outcome) for step in found.steps] + [("give up", "") for _ in found.gave_up]

    site = make_site({"node1": [sleeper(word)]})
    applied(site, settings)
    assert looked(site) == []
    docker("kill", f"bluefleet-{word}")
    assert looked(site) == [("start", "done")]
    docker("kill", f"bluefleet-{word}")
    assert looked(site) == []
    clock[0] += timedelta(seconds=10)
    assert looked(site) == [("give up", "")]
    clock[0] += timedelta(days=10)
    assert looked(site) == []
    assert seen.ids() == {}
    assert looked(make_site({"node1": [sleeper(word, user="1000")]})) == [("recreate", "done")]
    # The first try of the new one counts, and has its pause.
    assert troubles(State(settings.state_file))["node1", word].tries == 1


def test_a_rollback_comes_back_to_what_the_service_made_only_once_it_proved_well(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    clock = [datetime(2026, 3, 1, tzinfo=UTC)]
    reconciler = Reconciler(settings, Backoff(first=10, steady=60), now=lambda: clock[0])
    state = State(settings.state_file)

    def users() -> list[str]:
        return [one.spec.user for one in on_node(state, "node1")]

    site = make_site({"node1": [sleeper(word, user="7")]})
    for later, noted in ((0, []), (0, []), (60, ["7"])):
        clock[0] += timedelta(seconds=later)
        asyncio.run(reconciler.node(site, site.nodes[0]))
        assert users() == noted


def test_what_was_stopped_stays_stopped_and_what_is_cordoned_is_left_alone(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    stopped, cordoned, free = f"{word}-a", f"{word}-b", f"{word}-c"
    site = make_site({"node1": [sleeper(stopped), sleeper(cordoned), sleeper(free)]})
    declare(site, settings)
    applied(site, settings)
    with serve() as service:
        running(service, stopped, cordoned, free)
        service.post("stop", stopped, reason="dust")
        marked(cordon, site, settings, cordoned)
        service.until(lambda: service.instance(cordoned)["overrides"])
        docker("kill", f"bluefleet-{cordoned}", f"bluefleet-{free}")
        service.until(lambda: f"bluefleet-{free}" in seen.ids())
        assert set(seen.ids()) == {f"bluefleet-{free}"}
        (override,) = [one for one in service.get("/overrides")["overrides"] if one["kind"] == "stopped"]
        assert (override["who"], override["reason"]) == ("ada (over HTTP)", "dust")
        # Somebody starts it behind everybody's back.
        docker("start", f"bluefleet-{stopped}")
        service.until(lambda: set(seen.ids()) == {f"bluefleet-{free}"})


def test_what_runs_but_differs_is_left_to_apply(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    a, b = f"{word}-a", f"{word}-b"
    site = make_site({"node1": [sleeper(a), sleeper(b)]})
    applied(site, settings)
    before = seen.ids()
    declare(make_site({"node1": [sleeper(a, user="1000"), sleeper(b)]}), settings)
    with serve() as service:
        service.until(lambda: service.instance(a).get("drift") == ["spec"])
        docker("kill", f"bluefleet-{b}")
        service.until(lambda: len(seen.ids()) == 2)
        assert seen.ids() == before
        assert service.post("apply", a)["ok"]
        service.until(lambda: service.instance(a)["drift"] == [])


def test_a_node_that_hangs_or_is_away_delays_no_other(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    site = make_site({"node1": [sleeper(word)], "node2": []}, hung=("node3",))
    site = site.model_copy(
        update={"nodes": [*site.nodes[:1], site.nodes[1].model_copy(update={"port": 1}), site.nodes[2]]}
    )
    declare(site, settings)
    applied(site, settings, "node1")
    # Who waited for node3 would wait for half a minute.
    with serve(PERIOD="600", DEADLINE="30") as service:
        service.until(lambda: service.instance(word).get("state") == "running", within=40)
        docker("kill", f"bluefleet-{word}")
        service.until(lambda: f"bluefleet-{word}" in seen.ids(), within=10)
        assert service.get("/healthz") == {"schema_version": 1, "ok": True}


def test_nobody_is_interrupted_who_works_on_a_node(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    site = make_site({"node1": [sleeper(word)]})
    declare(site, settings)
    applied(site, settings)

    async def at_work(service: ServiceProcess) -> str:
        async with node_lock(settings.locks_folder, "node1", who="bob", verb="update", wait=1):
            docker("kill", f"bluefleet-{word}")
            waiting = await asyncio.to_thread(service.until, lambda: service.get("/status")["waiting"])
            assert seen.ids() == {}
            return waiting[f"node1/{word}"]

    with serve() as service:
        running(service, word)
        assert "bob (`bluefleet update`" in asyncio.run(at_work(service))
        service.until(lambda: f"bluefleet-{word}" in seen.ids())


def test_it_goes_on_while_somebody_holds_the_state_file_and_mends_afterwards(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    site = make_site({"node1": [sleeper(word)]})
    declare(site, settings)
    applied(site, settings)
    with serve() as service:
        running(service, word)
        with closing(sqlite3.connect(settings.state_file, isolation_level=None)) as held:
            held.execute("BEGIN EXCLUSIVE")
            docker("kill", f"bluefleet-{word}")
            service.until(
                lambda: any("others have been writing" in one for one in service.get("/status")["problems"]), within=45
            )
            # It looks all the same.
            service.until(lambda: service.instance(word)["state"] == "exited", within=45)
            assert seen.ids() == {}
            refused = service.http.post("/stop", json={"who": "ada", "targets": [word]})
            assert (refused.status_code, "others have been writing" in refused.json()["error"]["what"]) == (503, True)
            held.execute("ROLLBACK")
        service.until(lambda: f"bluefleet-{word}" in seen.ids())
        service.until(lambda: service.get("/status")["problems"] == [])


def test_a_manager_whose_disk_is_full_goes_on_looking_and_mends_when_there_is_room(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    site = make_site({"node1": [sleeper(word)]})
    declare(site, settings)
    applied(site, settings)
    with serve() as service:
        running(service, word)
        # No file of the process can grow from here on, which is what a full disk is to it.
        _, most = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        docker("kill", f"bluefleet-{word}")
        service.until(lambda: service.get("/status")["problems"])
        service.until(lambda: service.instance(word)["state"] == "exited")
        assert seen.ids() == {}
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, most))
        service.until(lambda: f"bluefleet-{word}" in seen.ids())
        service.until(lambda: service.get("/status")["problems"] == [])


def test_listeners_are_told_what_happens_and_after_a_break_what_they_missed(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    site = make_site({"node1": [sleeper(word)]})
    declare(site, settings)
    applied(site, settings)
    with serve() as service:
        running(service, word)
        begun = service.get("/status")["last_event"]
        docker("kill", f"bluefleet-{word}")
        service.until(lambda: service.instance(word)["tries"])
        heard: list[tuple[str, str, dict[str, Any]]] = []
        for event in service.events(begun):
            heard.append(event)
            if event[1] == "node" and event[2]["instances"][0]["state"] == "running":
                break
        steps = [data for _, kind, data in heard if kind == "step"]
        assert [(one["node"], one["instance"], one["action"], one["outcome"]) for one in steps] == [
            ("node1", word, "start", "done")
        ]
        assert all(data["schema_version"] == 1 for _, _, data in heard)
        # From the middle: exactly what came after it.
        again = service.events(heard[0][0])
        assert [next(again) for _ in heard[1:]] == heard[1:]
        again.close()
        unknown = service.events("another-life-7")
        assert next(unknown)[1] == "reset"
        unknown.close()

        did(site, settings, "stop", word)
        told = service.events(heard[-1][0])
        assert next(data for _, kind, data in told if kind == "history" and data["verb"] == "stop")["who"] == "ada"
        told.close()
        # Who listens keeps nobody from ending.
        with service.http.stream("GET", "/events") as listening:
            next(listening.iter_lines())
            service.end()
        assert service.process.returncode == 0


def test_metrics_are_what_prometheus_reads(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a"), sleeper(f"{word}-b")]}, hung=("node2",))
    declare(site, settings)
    applied(site, settings, "node1")
    with serve() as service:
        running(service, f"{word}-a", f"{word}-b")
        service.post("stop", f"{word}-b")
        docker("kill", f"bluefleet-{word}-a")
        service.until(lambda: service.instance(f"{word}-a")["tries"])
        service.until(lambda: service.instance(f"{word}-b")["state"] == "exited")
        running(service, f"{word}-a")
        text = service.http.get("/metrics").text
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["bluefleet_nodes_unreachable",] == 1
    assert samples["bluefleet_node_reachable", "node1"] == 1
    assert samples["bluefleet_instance_up", "node1", f"{word}-a"] == 1
    assert samples["bluefleet_instance_up", "node1", f"{word}-b"] == 0
    # It is as it should be all the same.
    assert samples["bluefleet_instance_ok", "node1", f"{word}-b"] == 1
    assert samples["bluefleet_overrides", "stopped"] == 1
    assert samples["bluefleet_steps_total", "done", "node1", "start", f"{word}-a"] == 1
    assert samples["bluefleet_reconcile_seconds_count", "node1"] > 0
    assert samples["bluefleet_instance_given_up", "node1", f"{word}-a"] == 0


def test_who_has_no_token_is_refused_and_a_new_token_needs_no_restart(
    make_site: MakeSite, settings: Settings, word: str, serve: Serve
) -> None:
    declare(make_site({"node1": []}), settings)
    with serve() as service:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}):
            stranger = httpx.Client(base_url=service.http.base_url, headers=headers, trust_env=False)
            with stranger:
                for method, path in (("GET", "/status"), ("GET", "/metrics"), ("GET", "/events"), ("POST", "/stop")):
                    answer = stranger.request(method, path)
                    assert answer.status_code == 401, path
                    assert set(answer.json()["error"]) == {"what", "where", "remedy"}
                assert stranger.get("/healthz").status_code == 200
        settings.fleet_token.write_text("another")
        assert service.http.get("/status").status_code == 401
        service.http.headers["Authorization"] = "Bearer another"
        assert service.http.get("/status").status_code == 200
        assert "another" not in "".join(service.log)


BAD: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("/stop", {"who": "ada", "targets": ["cam9"]}, 422, "no node or instance is called cam9", "site"),
    ("/stop", {"who": "ada"}, 422, "nothing is chosen", "body"),
    ("/stop", {"targets": ["node1"]}, 422, "Field required", "body who"),
    ("/stop", {"who": "ada", "targets": ["node1"], "reason": "a\nb"}, 422, "printed", "body reason"),
    ("/stop", {"who": "a b\n", "targets": ["node1"]}, 422, "match pattern", "body who"),
    ("/stop", {"who": "ada", "all": True, "targets": ["node1"]}, 422, "contradict", "body"),
    ("/stop", {"who": "ada", "all": True, "interupt_runs": True}, 422, "not permitted", "body interupt_runs"),
    ("/disable", {"who": "ada", "all": True, "reason": " "}, 422, "at least 1", "body reason"),
    ("/clear", {"who": "ada", "all": True, "kinds": ["asleep"]}, 422, "stopped", "body kinds 0"),
    ("/explode", {"who": "ada"}, 404, "Not Found", "POST /explode"),
    ("/status", {}, 405, "Method Not Allowed", "POST /status"),
]


def test_bad_input_is_told_with_what_where_and_remedy(make_site: MakeSite, settings: Settings, serve: Serve) -> None:
    declare(make_site({"node1": []}), settings)
    with serve() as service:
        for path, body, code, what, where in BAD:
            answer = service.http.post(path, json=body)
            assert answer.status_code == code, answer.text
            wrong = answer.json()["error"]
            assert what in wrong["what"], wrong
            assert wrong["where"].startswith(where), wrong
            assert wrong["remedy"]
        assert service.get("/history")["entries"] == []


def test_verbs_and_looks_are_those_of_the_command_line(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    device = {"name": "axis", "class": "bluefleet.devices.Axis", "prefix": "x:"}
    site = make_site({"node1": [sleeper(word, devices=[device], simulated={"image": "tiny"})]})
    declare(site, settings)
    with serve() as service:
        planned = service.post("apply", dry_run=True)
        assert (planned["check"], planned["changed"], planned["schema_version"]) == (True, True, 1)
        assert service.post("apply")["ok"]
        assert service.post("stop", word, dry_run=True)["nodes"][0]["steps"][0]["outcome"] == "planned"
        assert service.post("restart", word)["changed"]
        for verb, kind in (("cordon", "cordoned"), ("simulate", "simulated"), ("disable", "disabled")):
            (put,) = service.post(verb, word, reason="bench")["overrides"]
            assert (put["kind"], put["reason"]) == (kind, "bench")
        (found,) = service.get("/devices")["devices"]
        assert "disabled by ada (over HTTP)" in found["refused"]
        assert service.post("enable", word)["changed"]
        assert [one["kind"] for one in service.post("clear", word, kinds=["cordoned"])["overrides"]] == ["cordoned"]
        assert service.post("kill", "node1/", all=False)["ok"]
        assert seen.ids() == {}
        assert service.post("start", categories=[], all=True)["ok"]
        done = [(one["verb"], one["who"]) for one in service.get("/history", target=["node1"], limit=3)["entries"]]
        assert done == [("start", "ada (over HTTP)"), ("kill", "ada (over HTTP)"), ("clear", "ada (over HTTP)")]
        assert service.get("/status", fresh=True)["nodes"][0]["instances"][0]["state"] == "running"
        assert service.http.get("/openapi.json").json()["paths"].keys() >= {"/status", "/events", "/apply"}


def test_there_is_one_service_and_its_lock_dies_with_it(
    make_site: MakeSite, settings: Settings, word: str, serve: Serve
) -> None:
    declare(make_site({"node1": []}), settings)
    with serve() as service:
        second = serve()
        assert second.process.wait(20) == 1
        second.end()
        assert any(f"process {service.process.pid}" in line for line in second.log)
        service.end(signal.SIGKILL)
    with serve() as third:
        assert third.get("/healthz")["ok"]


def test_it_answers_at_a_socket_for_the_edge_too(
    make_site: MakeSite, settings: Settings, serve: Serve, tmp_path: Path
) -> None:
    declare(make_site({"node1": []}), settings)
    place = tmp_path / "api.sock"
    # What was left over by one that was killed.
    place.touch()
    with serve(SOCKET=str(place)) as service:
        assert service.get("/healthz")["ok"]
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(place)), base_url="http://fleet") as edge:
            assert edge.get("/healthz").json()["ok"]
            assert edge.get("/status").status_code == 401
        service.end()
        assert (service.process.returncode, place.exists()) == (0, False)


def test_a_site_that_is_declared_anew_needs_no_restart_and_a_broken_one_changes_nothing(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    declare(make_site({"node1": []}), settings)
    with serve() as service:
        declare(make_site({"node1": [sleeper(word)]}), settings)
        service.until(lambda: service.instance(word).get("state") == "missing")
        settings.site_file.write_text("nodes: [")
        service.until(lambda: service.get("/status")["problems"])
        assert service.instance(word)["state"] == "missing"
        # Whoever declares it applies it: nothing was made meanwhile.
        assert seen.ids() == {}
        declare(make_site({"node1": [], "node2": []}), settings)
        service.until(lambda: len(service.get("/status")["nodes"]) == 2)
        assert service.get("/status")["problems"] == []


def test_old_history_is_forgotten(make_site: MakeSite, settings: Settings, word: str, serve: Serve) -> None:
    declare(make_site({"node1": []}), settings)
    state = State(settings.state_file)
    for verb in ("stop", "start"):
        history.end(state, history.begin(state, "ada", verb, ["node1"], {}), "ok", [])
    old = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    with state.writing() as connection:
        connection.execute("UPDATE history SET began = ? WHERE verb = 'stop'", (old,))
    with serve(HISTORY_DAYS="30") as service:
        service.until(lambda: len(service.get("/history")["entries"]) == 1)
        assert service.get("/history")["entries"][0]["verb"] == "start"


def test_a_setting_that_cannot_be_is_named(make_site: MakeSite, settings: Settings, serve: Serve) -> None:
    declare(make_site({"node1": []}), settings)
    service = serve(TRIES="0")
    assert service.process.wait(20) == 2
    service.end()
    assert "BLUEFLEET_SERVICE_TRIES" in "\n".join(service.log)
