"""What Prometheus asks for."""

from collections import Counter as Counted
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bluefleet.fleet import Reconciled, StatusReport

_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)


class Meters:
    """Counters since this process began; what is so now comes from `status` when it is asked for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "bluefleet_reconcile_seconds",
            "One look at a node, what was mended included",
            ["node"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._steps = Counter(
            "bluefleet_steps",
            "What the service did",
            ["node", "instance", "action", "outcome"],
            registry=self._registry,
        )
        self._gave_up = Counter(
            "bluefleet_give_ups", "Instances that the service gave up", ["node", "instance"], registry=self._registry
        )
        self._failures = Counter(
            "bluefleet_service_failures",
            "What the service did not come through with, for reasons that nobody foresaw",
            ["what"],
            registry=self._registry,
        )

    def failed(self, what: str) -> None:
        """A part of the service's own work failed; it is tried again."""
        self._failures.labels(what).inc()

    def looked(self, node: str, seconds: float, found: Reconciled) -> None:
        """One look is over."""
        self._seconds.labels(node).observe(seconds)
        for step in found.steps:
            self._steps.labels(node, step.instance, step.action, step.outcome).inc()
        for trouble in found.gave_up:
            self._gave_up.labels(node, trouble.instance).inc()

    def show(self, status: Callable[[], StatusReport]) -> None:
        """Tell what `status` says, too."""
        self._registry.register(_Now(status))

    def text(self) -> bytes:
        """In Prometheus' own words."""
        return generate_latest(self._registry)


class _Now(Collector):
    def __init__(self, status: Callable[[], StatusReport]) -> None:
        self._status = status

    def collect(self) -> Iterator[GaugeMetricFamily]:
        status = self._status()
        place = ["node", "instance"]
        reachable = GaugeMetricFamily("bluefleet_node_reachable", "Whether its engine answers", labels=["node"])
        up = GaugeMetricFamily("bluefleet_instance_up", "Whether it runs and is not unhealthy", labels=place)
        well = GaugeMetricFamily("bluefleet_instance_ok", "Whether it is as operators want it", labels=place)
        restarts = GaugeMetricFamily(
            "bluefleet_instance_restarts", "How often its engine started it again", labels=place
        )
        tries = GaugeMetricFamily("bluefleet_instance_tries", "How often the service tried to mend it", labels=place)
        given_up = GaugeMetricFamily("bluefleet_instance_given_up", "Whether the service gave it up", labels=place)
        overrides = GaugeMetricFamily("bluefleet_overrides", "Overrides that hold now", labels=["kind"])
        kinds: Counted[str] = Counted()
        for node in status.nodes:
            reachable.add_metric([node.name], node.reachable)
            kinds.update(one.kind for one in node.overrides)
            for one in node.instances:
                at = [node.name, one.name]
                up.add_metric(at, one.state == "running" and one.health != "unhealthy")
                well.add_metric(at, one.ok)
                restarts.add_metric(at, one.restarts)
                tries.add_metric(at, one.tries)
                given_up.add_metric(at, one.gave_up is not None)
                kinds.update(override.kind for override in one.overrides if override.instance)
        for kind, number in sorted(kinds.items()):
            overrides.add_metric([kind], number)
        away = sum(not node.reachable for node in status.nodes)
        unreachable = GaugeMetricFamily("bluefleet_nodes_unreachable", "Nodes whose engine does not answer", value=away)
        yield from (reachable, unreachable, up, well, restarts, tries, given_up, overrides)
