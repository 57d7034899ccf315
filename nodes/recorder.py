"""The recorder node: results and moving picture in, files out.

It is the end of the line: when it has acknowledged the end of both its streams, every file is complete.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from streaming.annotated_video import AnnotatedVideo
from streaming.clock import Clock
from streaming.config import Config
from streaming.errors import UserError
from streaming.film_times import times_of
from streaming.memory import Memory, numbered
from streaming.messages import End, Message, Preview, Result
from streaming.mp4 import rescue
from streaming.outputs.outputs import Outputs, open_outputs
from streaming.results import ResultsWriter, read_results, result_of
from streaming.story import Story, sounding_now

log = logging.getLogger(__name__)

LATENCIES_KEPT = 1000
CLOCKS_APART_NS = 2_000_000_000  # of two machines, at most; loading a model takes longer
MOST_REREAD = 64 << 20  # bytes of results that a recorder takes in to go on with them; hours
STAND_IN_NOTICE = "stand-in weights: these masks mean nothing"


class RecorderStage:
    """Writes `results.jsonl` and `annotated.mp4`, and keeps the figures of the summary.

    goes_on: `results` is of this run, by an earlier recorder; what is in it counts as its own.
    """

    def __init__(
        self,
        results: Path | None,
        video: AnnotatedVideo | None,
        clock: Clock,
        *,
        goes_on: bool = False,
        candidates: bool = False,
    ) -> None:
        self.video, self.clock = video, clock
        self.outputs = Outputs()  # who is told of each result
        self.count = 0
        self.first_result_wall_ns: int | None = None
        self._path, self._candidates = results, candidates
        self._writer: ResultsWriter | None = None
        self._covered_ns = self._reached_ns = 0
        self._reached: dict[str, tuple[int, int]] = {}  # source -> generation, end of its newest window
        self._tracks = 0
        self._newest_track: dict[str, int] = {}
        self._story = Story()
        self._now: dict[str, Any] | None = None  # what sounds, since the first result
        self._stages: dict[str, Mean] = {}
        self._latency_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._newest: dict[str, tuple[int, int]] = {}  # source -> generation, number
        self._begun, self._goes_on = False, goes_on
        if goes_on and results is not None:
            self._writer = ResultsWriter(results, append=True, candidates=candidates)
            for line in read_results(results, newest_bytes=MOST_REREAD):
                self._note(*result_of(line))

    @classmethod
    def from_config(
        cls, config: Config, clock: Clock, source_id: str = "", memory: Memory | None = None
    ) -> RecorderStage:
        """What is written goes to the run's folder, or with a `source_id` to a folder of that name in it.

        A recorder that takes the place of another goes on with its results, and begins another video.
        """
        memory = memory or Memory()
        folder = Path(config.output.dir) / source_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be made ({error.strerror}); choose another with --out"
            ) from error
        notice = STAND_IN_NOTICE if config.model.checkpoint == "stand-in" else ""
        results, film = folder / "results.jsonl", folder / "annotated.mp4"
        if memory.incarnation > 1:
            rescue(numbered(film, memory.incarnation - 1))
            film = numbered(film, memory.incarnation)
        return cls(
            results if config.output.results else None,
            AnnotatedVideo(film, notice=notice, times=times_of(film)) if config.output.annotated else None,
            clock,
            goes_on=memory.begun_wall_ns is not None and written_since(results, memory.begun_wall_ns),
            candidates=bool(config.output.candidates),
        )

    def process(self, message: Message) -> Iterable[Message]:
        if not self._begun:
            self._begin()
        if isinstance(message, Result):
            if (message.generation, message.seq) <= self._newest.get(message.source, (-1, -1)):
                return ()  # in the file, but its writer died before it could say so
            wall_ns = self.clock.wall_ns()
            self._note(message, wall_ns)
            if self._writer is not None:
                self._writer.write(message, wall_ns=wall_ns)
            self.outputs.add(message, wall_ns)
        elif isinstance(message, Preview):
            self.outputs.show(message)
        if isinstance(message, Result | Preview):
            self._film(message)
        return ()

    def _begin(self) -> None:
        """With the first message, so that a run that fails to start leaves an earlier run's files alone."""
        self._begun = True
        if self._writer is None and self._path is not None:
            self._writer = ResultsWriter(self._path, candidates=self._candidates)
        if self.video is not None and not self._goes_on:
            film = self.video.path
            for other in film.parent.glob(f"{film.stem}-*{film.suffix}"):
                if other.stem.removeprefix(f"{film.stem}-").isdigit():
                    other.unlink(missing_ok=True)  # the second part of an earlier run's film
                    times_of(other).unlink(missing_ok=True)

    def _film(self, message: Result | Preview) -> None:
        """Give the video its part; when its disk fails, the results go on without it."""
        if self.video is None:
            return
        try:
            if isinstance(message, Result):
                self.video.add_result(message)
            else:
                self.video.add_preview(message)
        except UserError as error:
            log.error("%s; the results go on without the video", error)

    def _note(self, result: Result, now_ns: int) -> None:
        self._newest[result.source] = (result.generation, result.seq)
        self.first_result_wall_ns = self.first_result_wall_ns or now_ns
        self.count += 1
        self._cover(result)
        self._story.add(result)
        self._now = sounding_now(result)
        self._latency_ms.append((now_ns - result.emitted_ns) / 1e6)
        for stage, ms in result.stage_ms.items():
            self._stages.setdefault(stage, Mean()).add(ms)
        newest = self._newest_track.get(result.source, 0)
        for track in result.tracks:
            self._tracks += track["id"] > newest  # ids count up, so a larger one is a new object
            self._newest_track[result.source] = max(self._newest_track.get(result.source, 0), track["id"])

    def _cover(self, result: Result) -> None:
        """Count the time that results tell of, once where windows overlap."""
        self._reached_ns = result.t_ns + result.dur_ns
        generation, before_ns = self._reached.get(result.source, (-1, 0))
        goes_on = generation == result.generation
        self._covered_ns += min(result.dur_ns, self._reached_ns - before_ns) if goes_on else result.dur_ns
        self._reached[result.source] = (result.generation, self._reached_ns)

    def close(self) -> None:
        """Finish every file."""
        if self._writer is not None:
            self._writer.close()
        if self.video is not None:
            try:
                self.video.close()
            except UserError as error:
                log.error("%s", error)

    def forget(self, source: str) -> None:
        """Files go on over generations."""

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        raise UserError(f"the recorder node knows no request {name!r}")

    def stats(self) -> dict[str, Any]:
        ordered = sorted(self._latency_ms) or [0.0]
        return {
            "results": self.count,
            "seconds": round(self._covered_ns / 1e9, 3),
            "reached_s": round(self._reached_ns / 1e9, 3),
            "objects": self._tracks,
            "now": self._now,
            "story": self._story.told(),
            "stage_ms": {stage: round(mean.value, 2) for stage, mean in self._stages.items()},
            "latency_p50_ms": round(ordered[len(ordered) // 2], 1),
            "latency_p95_ms": round(ordered[int(len(ordered) * 0.95)], 1),
            "first_result_wall_ns": self.first_result_wall_ns,
            "pictures": self.video.pictures if self.video else 0,
        }


def written_since(path: Path, wall_ns: int) -> bool:
    """Whether a file has been written to since a moment that another clock may have told."""
    return path.exists() and path.stat().st_mtime_ns > wall_ns - CLOCKS_APART_NS


def open_recorder(
    config: Config, clock: Clock, memory: Memory | None = None
) -> RecorderStage | ManyRecorders | Telling:
    """For one source or several, and for those who are to be told, if there are any.

    Raises `UserError` where nothing can be written, or an output cannot be had.
    """
    recorder = _writing(config, clock, memory)
    outputs = Outputs(open_outputs(config, clock))
    return Telling(recorder, outputs, clock) if outputs else recorder


def _writing(config: Config, clock: Clock, memory: Memory | None) -> RecorderStage | ManyRecorders:
    if not config.sources:
        return RecorderStage.from_config(config, clock, memory=memory)
    ids = [source.id for source in config.sources]
    return ManyRecorders({name: RecorderStage.from_config(config, clock, name, memory) for name in ids})


class ManyRecorders:
    """A recorder for each source."""

    def __init__(self, of: Mapping[str, RecorderStage]) -> None:
        self.of = of

    def process(self, message: Message) -> Iterable[Message]:
        return self.of[message.source].process(message) if message.source in self.of else ()

    def close(self) -> None:
        for one in self.of.values():
            one.close()

    def forget(self, source: str) -> None:
        """Files go on over generations."""

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        raise UserError(f"the recorder node knows no request {name!r}")

    def stats(self) -> dict[str, Any]:
        """All together, and `sources`: each by itself."""
        each = {name: one.stats() for name, one in self.of.items()}
        firsts = [one["first_result_wall_ns"] for one in each.values() if one["first_result_wall_ns"]]
        told = list(each.values())
        return {
            **{key: sum(one[key] for one in told) for key in ("results", "seconds", "objects", "pictures")},
            **{
                key: max(one[key] for one in told)
                for key in ("reached_s", "latency_p50_ms", "latency_p95_ms")
            },
            "first_result_wall_ns": min(firsts, default=None),
            "stage_ms": _means(told),
            "sources": each,
        }


class Telling:
    """A recorder whose results go to others, too."""

    def __init__(self, recorder: RecorderStage | ManyRecorders, outputs: Outputs, clock: Clock) -> None:
        self.recorder, self.outputs, self.clock = recorder, outputs, clock
        self.forget, self.request = recorder.forget, recorder.request
        for one in recorder.of.values() if isinstance(recorder, ManyRecorders) else [recorder]:
            one.outputs = outputs

    def process(self, message: Message) -> Iterable[Message]:
        outgoing = self.recorder.process(message)
        if isinstance(message, End):
            self.outputs.end(message.source, message.seq, self.clock.wall_ns())
        return outgoing

    def close(self) -> None:
        """Finish every file, and then take leave of the others."""
        try:
            self.recorder.close()
        finally:
            self.outputs.close()

    def stats(self) -> dict[str, Any]:
        """As without outputs, and `outputs`: the counters of each."""
        return {**self.recorder.stats(), "outputs": self.outputs.counters}


def _means(told: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Milliseconds of each stage over all results."""
    weights = {stage: 0 for one in told for stage in one["stage_ms"]}
    sums = dict.fromkeys(weights, 0.0)
    for one in told:
        for stage, ms in one["stage_ms"].items():
            weights[stage] += one["results"]
            sums[stage] += one["results"] * ms
    return {stage: round(total / max(1, weights[stage]), 2) for stage, total in sums.items()}


class Mean:
    """A running mean, whatever the length of a run."""

    def __init__(self) -> None:
        self.count, self.value = 0, 0.0

    def add(self, x: float) -> None:
        self.count += 1
        self.value += (x - self.value) / self.count
