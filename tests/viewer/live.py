"""The real pipeline with its page: every process, the bundled model."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from streaming.config import load, setting
from tests.pipeline import supervisor, wait_for

ENOUGH_S = 60.0
WORDS = "dog, violin, drum, wolf, sunflower, telephone, cat, guitar, piano, train, helicopter, lion"


class Live:
    """A run at real-time pace, in a thread, with its page."""

    def __init__(self, out: Path, *more: str) -> None:
        texts = (
            f"output.dir={out}", "output.annotated=false", "source.pace=realtime",
            f"vocabulary.words={WORDS}", "vocabulary.cache_dir=", "viewer.enabled=true",
            "viewer.port=0", *more,
        )  # fmt: skip
        config = load(settings=map(setting, texts))
        self.token, self.said = config.viewer.token, list[str]()
        self.supervisor = supervisor(config, say=self.said.append)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert wait_for(lambda: bool(self._address), ENOUGH_S), self.said

    def _run(self) -> None:
        try:
            self.supervisor.run()
        except Exception as error:  # told by the test that waits for what does not come
            self.said.append(str(error))

    @property
    def _address(self) -> str:
        viewer = self.supervisor.nodes.get("viewer")
        return viewer.counters.get("address", "") if viewer is not None else ""

    @property
    def base(self) -> str:
        return self._address.partition("?")[0]

    @property
    def url(self) -> str:
        return f"{self.base}?token={self.token}" if self.token else self.base

    def kill(self, node: str) -> None:
        process = self.supervisor.nodes[node].process
        assert process is not None
        process.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        self.supervisor.stop()
        assert self.has_ended(ENOUGH_S)

    def has_ended(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()
