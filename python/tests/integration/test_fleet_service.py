"""The fleet service, a process, against this machine's own engine over mutual TLS."""

from bluefleet.fleet import Settings
from real_engine import MakeSite, Seen, docker
from service_process import Serve, declare
from test_fleet_operate import applied, sleeper


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
        service.until(lambda: service.instance(cam1).get("state") == "running")
        docker("kill", f"bluefleet-{cam1}")
        service.until(lambda: seen.ids() == before)
        assert service.until(lambda: service.instance(cam1)["tries"]) == 1
        (entry,) = service.get("/history", verb="reconcile")["entries"]
        assert (entry["who"], entry["targets"], entry["result"]) == ("fleet service", [f"node1/{cam1}"], "ok")
