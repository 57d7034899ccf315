"""The recordings of a folder as a set to train on: its seconds as the model had them, and what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from model.errors import ModelError
from model.pseudo.label import clips_of
from model.pseudo.layout import Numbers, Sidecar, write_index
from nodes.capture import open_source
from streaming.archive.archive import in_utf8
from streaming.archive.folder import Folder
from streaming.clock import Clock
from streaming.config import Config
from streaming.errors import UserError
from streaming.messages import Snippet
from streaming.results import read_results


def labelled(
    config: Config, root: Path, done: Sequence[str], length: int, about: Mapping[str, Any]
) -> tuple[list[Sidecar], list[str]]:
    """Writes the set of all recordings that are done: its clips, and a line for each recording that failed.

    Args:
        config: of the runs; `output.dir` is where their results are.
        root: the set.
        done: the names of the recordings below the folder.
        length: of a clip, in seconds.
        about: what ran.

    Raises:
        ModelError: the set cannot be written, or nothing is in it.
    """
    runs, numbers, wanted = Path(config.output.dir), Numbers(root), set(done)
    clips, failures = [], []
    for found in Folder(Path(config.source.uri), runs):
        if found.name not in wanted:
            continue
        run = runs / found.name
        try:
            clips += clips_of(
                root,
                found.name,
                run,
                partial(read_results, run / "results.jsonl"),
                partial(seconds_of, config, found.path),
                length,
                numbers,
            )
        except (UserError, ModelError, OSError) as error:
            failures.append(f"{found.name}: no clips: {error}")
    if not clips:
        raise ModelError("\n".join([*failures, f"{config.source.uri}: found nothing to make clips of"]))
    told = {"model": config.model.name, **about, "vocabulary": config.vocabulary.words, "seconds": length}
    write_index(root, clips, told, numbers)
    return clips, failures


def seconds_of(config: Config, path: Path) -> Iterator[Snippet]:
    """A recording as the run over it had it. Raises `UserError`."""
    with in_utf8(path) as uri:
        source = config.source.model_copy(update={"uri": uri})
        with closing(open_source(config.model_copy(update={"source": source}), Clock())) as opened:
            yield from (one for one in opened if isinstance(one, Snippet))
