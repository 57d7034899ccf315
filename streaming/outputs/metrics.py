"""Figures of a run for Prometheus, at a port that only this machine can reach.

They are those of `status`. The supervisor says again and again how its nodes are; whoever asks is answered
from what it said last, by a thread of its own, so nobody who asks can hold up a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from streaming.config import kind_of_node
from streaming.errors import UserError
from streaming.results import RESULTS_VERSION
from streaming.status import LOST

HOST = "127.0.0.1"
STATES = ("starting", "ready", "connecting", "live", "lost", "down", "done", "failed")
QUANTILES = {"0.5": "latency_p50_ms", "0.95": "latency_p95_ms"}

Told = Mapping[str, Mapping[str, Any]]
Figure = tuple[type[GaugeMetricFamily] | type[CounterMetricFamily], str, str, str]

# Kind and name, what it means, and the key under which it is told.
NODES: Sequence[Figure] = (
    (GaugeMetricFamily, "node_up", "1 while the node is at work.", "up"),
    (CounterMetricFamily, "node_restarts", "How often the node was started again.", "restarts"),
    (GaugeMetricFamily, "node_queue_length", "Messages that the next node has not handled yet.", "queue"),
    (GaugeMetricFamily, "node_resident_memory_bytes", "Memory that the node holds.", "memory_bytes"),
)
SOURCES: Sequence[Figure] = (
    (GaugeMetricFamily, "source_up", "1 while picture and sound come.", "up"),
    (GaugeMetricFamily, "source_frames_per_second", "Pictures a second, of late.", "fps"),
    (CounterMetricFamily, "source_frames", "Pictures that came.", "frames"),
    (CounterMetricFamily, "source_snippets", "Snippets that were passed on.", "snippets"),
    (
        GaugeMetricFamily,
        "source_audio_dbfs",
        "Level of the newest second, in dB of full scale.",
        "audio_dbfs",
    ),
    (GaugeMetricFamily, "source_generation", "Which stretch of unbroken stream this is.", "generation"),
    (CounterMetricFamily, "results", "Results.", "results"),
    (CounterMetricFamily, "objects", "Objects that were found.", "objects"),
)
OUTPUTS: Sequence[Figure] = (
    (CounterMetricFamily, "output_sent", "Messages that were sent.", "sent"),
    (CounterMetricFamily, "output_dropped", "Messages that there was no room for.", "dropped"),
    (GaugeMetricFamily, "output_queue_length", "Messages that wait.", "queue"),
    (GaugeMetricFamily, "output_connected", "1 while the broker is there.", "connected"),
)


class Metrics(Collector):
    """Serves figures of the run from now on.

    sources: the id of the source of each capture node, for as long as the node itself does not tell.

    Raises `UserError` for a port that is taken.
    """

    def __init__(self, port: int, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._told: Told = {}
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, addr=HOST, registry=registry)
        except OSError as error:
            raise UserError(
                f"output.metrics: port {port} of {HOST} cannot be used: {error.strerror}; choose another"
            ) from None

    def update(self, told: Told) -> None:
        """How the nodes are, as the answer to the request `status` has it; not to be changed afterwards."""
        self._told = told

    def close(self) -> None:
        """Serve no longer; the port is free on return."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterator[Metric]:
        """All figures, for whoever asks."""
        told = self._told
        recorder = told.get("recorder", {})
        captures = {name: node for name, node in told.items() if kind_of_node(name) == "capture"}
        sources = {
            str(node.get("source") or self._sources.get(name, name)): node for name, node in captures.items()
        }
        # A recorder of one source tells of it as of itself.
        results = {name: recorder.get("sources", {}).get(name, recorder) for name in sources}

        build = InfoMetricFamily("ovavss_build", "The program that runs.")
        build.add_metric([], {"version": _version(), "results_version": str(RESULTS_VERSION)})
        yield build
        yield from _figures(NODES, "node", {name: _node(node) for name, node in told.items()})
        yield from _figures(SOURCES, "source", {n: _source(sources[n], results[n]) for n in sources})
        yield from _states(sources)
        yield from _lost(sources)
        yield from _latencies(results)
        yield from _figures(OUTPUTS, "output", recorder.get("outputs", {}))


def _figures(figures: Sequence[Figure], label: str, told: Told) -> Iterator[Metric]:
    """A metric for each figure, with those values that are told."""
    for kind, name, about, key in figures:
        metric = kind(f"ovavss_{name}", about, labels=[label])
        for one, values in told.items():
            if isinstance(value := values.get(key), int | float):
                metric.add_metric([one], value)
        yield metric


def _node(node: Mapping[str, Any]) -> dict[str, Any]:
    memory_mib = node.get("memory_mib")
    return {
        "restarts": 0,
        **node,
        "up": node.get("state") == "ready",
        "memory_bytes": None if memory_mib is None else memory_mib * 2**20,
    }


def _source(capture: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **capture,
        "up": _state(capture) in ("ready", "live"),
        "audio_dbfs": capture.get("audio_dbfs") if capture.get("has_audio") else None,
        "results": results.get("results"),
        "objects": results.get("objects"),
    }


def _state(capture: Mapping[str, Any]) -> str:
    """Of a camera, how its connection is; of a recording, and before and after, how its node is."""
    state = str(capture.get("state", "starting"))
    return str(capture.get("connection") or state) if state == "ready" else state


def _states(sources: Told) -> Iterator[Metric]:
    metric = GaugeMetricFamily(
        "ovavss_source_state", "1 for the state that the source is in.", labels=["source", "state"]
    )
    for name, source in sources.items():
        now = _state(source)
        for state in dict.fromkeys((*STATES, now)):
            metric.add_metric([name, state], state == now)
    yield metric


def _lost(sources: Told) -> Iterator[Metric]:
    metric = CounterMetricFamily(
        "ovavss_source_lost", "What is missing of the source, and why.", labels=["source", "reason"]
    )
    for name, source in sources.items():
        for reason in LOST:
            metric.add_metric([name, reason], source.get(reason, 0))
    yield metric


def _latencies(results: Told) -> Iterator[Metric]:
    metric = Metric("ovavss_latency_seconds", "From a snippet's leaving capture to its result.", "summary")
    for name, told in results.items():
        if not told.get("results"):
            continue
        for quantile, key in QUANTILES.items():
            labels = {"source": name, "quantile": quantile}
            metric.add_sample(metric.name, labels, told.get(key, 0.0) / 1000)
        metric.add_sample(f"{metric.name}_count", {"source": name}, told["results"])
    yield metric


def _version() -> str:
    try:
        return version("ov-avss-live")
    except PackageNotFoundError:  # run from a folder where nothing was installed
        return "unknown"
