"""The recorder node: results and moving picture in, files out.

It is the end of the line: when it has acknowledged the end of both its streams, every file is complete.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from streaming.annotated_video import AnnotatedVideo
from streaming.clock import Clock
from streaming.config import Config
from streaming.errors import UserError
from streaming.messages import End, Message, Preview, Result
from streaming.results import ResultsWriter

log = logging.getLogger(__name__)

STAND_IN_NOTICE = "stand-in weights: these masks mean nothing"


class RecorderStage:
    """Writes `results.jsonl` and `annotated.mp4`, and keeps the figures of the summary."""

    def __init__(self, results: ResultsWriter | None, video: AnnotatedVideo | None, clock: Clock) -> None:
        self.results, self.video, self.clock = results, video, clock
        self.count = 0
        self.seen: set[int] = set()
        self.stage_ms: dict[str, list[float]] = {}
        self.latency_ms: list[float] = []
        self.labels: dict[int, str] = {}
        self.first_result_wall_ns: int | None = None
        self._ends = 0

    @classmethod
    def from_config(cls, config: Config, clock: Clock) -> RecorderStage:
        folder = Path(config.output.dir)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another with --out") from error
        notice = STAND_IN_NOTICE if config.model.checkpoint == "stand-in" else ""
        return cls(
            ResultsWriter(folder / "results.jsonl") if config.output.results else None,
            AnnotatedVideo(folder / "annotated.mp4", notice=notice) if config.output.annotated else None,
            clock,
        )

    def process(self, message: Message) -> Iterable[Message]:
        match message:
            case Result():
                self._note(message)
                if self.results is not None:
                    self.results.write(message, wall_ns=self.clock.wall_ns())
                self._film(message)
            case Preview():
                self._film(message)
            case End():
                self._ends += 1
        return ()

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

    def _note(self, result: Result) -> None:
        now_ns = self.clock.wall_ns()
        self.first_result_wall_ns = self.first_result_wall_ns or now_ns
        self.count += 1
        self.latency_ms.append((now_ns - result.emitted_ns) / 1e6)
        for stage, ms in result.stage_ms.items():
            self.stage_ms.setdefault(stage, []).append(ms)
        for track in result.tracks:
            self.seen.add(track["id"])
            self.labels[track["id"]] = track["label"] or "?"

    def close(self) -> None:
        """Finish every file."""
        if self.results is not None:
            self.results.close()
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
        ordered = sorted(self.latency_ms[-1000:]) or [0.0]
        return {
            "results": self.count,
            "objects": len(self.seen),
            "labels": sorted(set(self.labels.values()))[:50],
            "stage_ms": {stage: round(fmean(ms), 2) for stage, ms in self.stage_ms.items()},
            "latency_p50_ms": round(ordered[len(ordered) // 2], 1),
            "latency_p95_ms": round(ordered[int(len(ordered) * 0.95)], 1),
            "first_result_wall_ns": self.first_result_wall_ns,
            "pictures": self.video.pictures if self.video else 0,
        }
