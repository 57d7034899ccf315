"""What a language model has answered: remembered, and kept on disk from one run to the next.

A file that cannot be read or written costs time, never a wrong answer: it is ignored with a warning. Several
processes may share one; the last to save wins, and what is lost is merely asked again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
FILE = "translations.json"
MOST_BYTES = 8 << 20

Translation = Mapping[str, tuple[str, ...]]  # nouns, each with the texts that speak for it


def key_of(question: Mapping[str, Any]) -> str:
    """What a question is remembered by."""
    text = json.dumps(question, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Translations:
    """Answers by key; beyond `capacity`, those that were not used for longest are forgotten.

    Args:
        file: where they are kept; None: nowhere.
        check: makes a translation of what the file says of one, or raises `ValueError`: it is not trusted.
    """

    def __init__(
        self, file: Path | None, check: Callable[[Any], Translation], *, capacity: int = 4096
    ) -> None:
        self.file, self.check, self.capacity = file, check, capacity
        self._known: OrderedDict[str, Translation] = OrderedDict()
        if file is not None and file.exists():
            self._load(file)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> Translation | None:
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def add(self, key: str, translation: Translation) -> None:
        """Remember, and save."""
        self._known[key] = translation
        self._known.move_to_end(key)
        while len(self._known) > self.capacity:
            self._known.popitem(last=False)
        if self.file is not None:
            self._save(self.file)

    def _load(self, file: Path) -> None:
        try:
            if file.stat().st_size > MOST_BYTES:
                raise ValueError(f"found more than {MOST_BYTES} bytes")
            entries = json.loads(file.read_text("utf-8"))
            if not isinstance(entries, dict):
                raise ValueError("expected an object")
            for key, entry in list(entries.items())[-self.capacity :]:
                self._known[key] = self.check(entry)
        except (OSError, ValueError, RecursionError) as error:
            self._known.clear()
            log.warning("%s is ignored: %s", file, str(error).splitlines()[0])

    def _save(self, file: Path) -> None:
        """Whole or not at all."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=file.parent, prefix=file.name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as out:
                    json.dump(self._known, out, ensure_ascii=False)
                os.replace(beside, file)
            except BaseException:
                os.unlink(beside)
                raise
        except OSError as error:
            log.warning("%s is not kept: %s", file, error.strerror)
            self.file = None
