"""From what a run over a folder has left to clips of a set, file by file; what was cut is not cut again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.data.files import read_json
from model.data.pseudo import MARK
from model.errors import ModelError
from model.pseudo.layout import SEMANTIC, Numbers, Sidecar, write_clip, write_whole
from model.pseudo.pieces import Line, pieces, uid_of

PIECES = "pieces.json"  # beside a run's results: the clips that were made of them


class Second(Protocol):
    """A second of a recording, as it was given to the model: `streaming.messages.Snippet`."""

    @property
    def generation(self) -> int: ...

    @property
    def seq(self) -> int: ...

    @property
    def frame(self) -> NDArray[np.uint8]: ...  # (H, W, 3)

    @property
    def audio(self) -> NDArray[np.float32]: ...  # (16000,)


def clips_of(
    root: Path,
    file: str,
    run: Path,
    lines: Callable[[], Iterable[Line]],
    seconds: Callable[[], Iterator[Second]],
    length: int,
    numbers: Numbers,
) -> list[Sidecar]:
    """The clips of a recording: as they lie there, or made of its results and of the recording itself.

    Args:
        file: its name below the folder.
        run: the folder of the run over it.
        lines: its results; `seconds`, what the run was given, in the same order.
        length: of a clip, in seconds.

    Raises:
        ModelError: a file cannot be written, or the recording is not what the results are of.
    """
    status = (run / "results.jsonl").stat()
    about = {"results": [status.st_size, status.st_mtime_ns], "length": length}
    if (known := _known(root, run, about)) is not None:
        return known
    (run / PIECES).unlink(missing_ok=True)
    made = []
    given = seconds()
    for piece in pieces(lines(), length):
        frames, audio = [], []
        for line in piece:
            second = _second(given, line, file)
            frames.append(np.array(second.frame))
            audio.append(second.audio)
        uid = uid_of(file, piece[0]["seq"])
        made.append(write_clip(root, uid, file, piece, frames, np.stack(audio), numbers))
    places = [[clip["label"], clip["uid"]] for clip in made]
    write_whole(run / PIECES, json.dumps(about | {"clips": places}))
    return made


def _second(given: Iterator[Second], line: Line, file: str) -> Second:
    """The second that a line is of; those before it, of which no line is wanted, are passed over."""
    for second in given:
        if (second.generation, second.seq) == (line["generation"], line["seq"]):
            return second
    raise ModelError(f"{file}: found no second {line['seq']}, expected it: has the file changed?")


def _known(root: Path, run: Path, about: dict[str, Any]) -> list[Sidecar] | None:
    """The sidecars of a recording that was cut like this before and lies there whole."""
    try:
        told = json.loads((run / PIECES).read_text(encoding="utf-8"))
        if {key: told[key] for key in about} != about:
            return None
        paths = [root / SEMANTIC / label / uid / MARK for label, uid in told["clips"]]
        return [read_json(path, "what is claimed of a clip") for path in paths]
    except (OSError, ValueError, LookupError, ModelError):
        return None


def counted(clips: Sequence[Sidecar]) -> str:
    """In words how much there is."""
    seconds = sum(clip["seconds"] for clip in clips)
    claims = sum(
        rle is not None for clip in clips for thing in clip["things"] for rle in thing["segmentations"]
    )
    names = {thing["name"] for clip in clips for thing in clip["things"]}
    return f"{len(clips)} clips, {seconds} s, {claims} masks of {len(names)} categories"
