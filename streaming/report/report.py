"""From a run's folder to `report.html`: one file that fetches nothing.

All that comes from the run is escaped by the template; its numbers travel as JSON in a block that no browser
executes. The page's policy allows its own script and style by their hashes, pictures as data, and no more.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from streaming.errors import UserError
from streaming.overlay.look import PALETTE
from streaming.report import run_told
from streaming.report.figures import Figures
from streaming.report.reading import Reading, results_files
from streaming.report.told import MOST_OBJECTS, Told, told
from streaming.report.words import counted
from streaming.run_record import NAME as RUN_RECORD
from streaming.run_record import runs_of

PAGE = Path(__file__).resolve().parent / "page"
MARK = Path(__file__).resolve().parent.parent / "viewer" / "page" / "mark.svg"
MOST_SOURCES = 32
MOST_OBJECTS_IN_ALL = 96
MOST_TAPES = 16


def write_report(folder: Path, out: Path) -> tuple[Path, list[str]]:
    """Writes the report of the run in `folder`; returns where, and what could not be read, in sentences.

    Raises `UserError` where there are no results, or the file cannot be written.
    """
    gathered, remarks = gather(folder)
    shown = list(gathered.items())[:MOST_SOURCES]
    if len(gathered) > len(shown):
        remarks.append(f"{len(gathered) - len(shown)} more sources are left out.")
    begun = min(figures.begun for figures in gathered.values())
    ended = max(figures.ended for figures in gathered.values())
    run = run_told.run_of(runs_of(folder), begun, ended)
    if run is None:
        remarks.append(
            f"No {RUN_RECORD} of this run was found: model, weights, settings and restarts are unknown."
        )
    most = min(MOST_OBJECTS, max(6, MOST_OBJECTS_IN_ALL // len(shown)))
    tapes = _tapes(folder, run)
    sources = [told(figures, file.parent, tapes, most) for (file, _), figures in shown]
    page = rendered(sources, run, remarks)
    beside = out.with_name(f"{out.name}.new")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(page, "utf-8")
        os.replace(beside, out)
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written ({error.strerror or error}); choose another --out"
        ) from error
    return out, remarks


def gather(folder: Path) -> tuple[dict[tuple[Path, str], Figures], list[str]]:
    """The figures of each source, by its file and id, and what was left out. Raises `UserError`."""
    gathered: dict[tuple[Path, str], Figures] = {}
    remarks: list[str] = []
    files = results_files(folder)
    for file in files:
        reading = Reading(file)
        for line in reading:
            place = file, line["source"]
            if place not in gathered:
                gathered[place] = Figures(line["source"])
            gathered[place].add(line)
        where = f"{file.parent.name}: " if len(files) > 1 else ""
        remarks += [where + remark for remark in reading.told()]
    gathered = {place: figures for place, figures in gathered.items() if figures.count}
    if not gathered:
        left_out = f" ({' '.join(remarks)})" if remarks else ""
        raise UserError(f"{folder}: found no result to tell of{left_out}, expected at least one")
    return gathered, remarks


def rendered(sources: list[Told], run: dict[str, Any] | None, remarks: list[str]) -> str:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(PAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (PAGE / "report.css").read_text("utf-8") + _palette()
    script = (PAGE / "report.js").read_text("utf-8")
    names = ", ".join(source.id for source in sources)
    return environment.get_template("report.html").render(
        title=names if len(names) < 80 else counted(len(sources), "source"),
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'",
        mark=f"data:image/svg+xml;base64,{base64.b64encode(MARK.read_bytes()).decode()}",
        data=Markup(harmless([source.data for source in sources])),
        facts=_facts(sources, run),
        sources=sources,
        remarks=remarks,
        troubles=run_told.troubles_told(run) if run else [],
        settings=run_told.settings_rows(run) if run else [],
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def harmless(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it ends the element or begins a comment."""
    packed = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return packed.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _facts(sources: list[Told], run: dict[str, Any] | None) -> run_told.Pairs:
    known = run_told.addresses(run) if run else {}
    looked_at = [
        f"{source.id} ({known[source.id]})" if known.get(source.id) else source.id for source in sources
    ]
    facts = [("Looked at", ", ".join(looked_at))]
    if len(sources) == 1:
        facts += sources[0].facts
    if run:
        facts += [
            ("Model", run_told.model_told(run)),
            ("Vocabulary", run_told.vocabulary_told(run)),
            ("Ended", run_told.ending_told(run)),
        ]
    return facts


def _tapes(folder: Path, run: dict[str, Any] | None) -> list[Path]:
    """Where frames may be: the tapes that the run names, and those in its folder."""
    named = run.get("tapes") if run else None
    paths = [Path(one) for one in named if isinstance(one, str)] if isinstance(named, list) else []
    return list(dict.fromkeys([*paths, *sorted(folder.absolute().glob("*.mcap"))]))[:MOST_TAPES]


def _palette() -> str:
    return "".join(f".c{index}{{--track:rgb{colour}}}" for index, colour in enumerate(PALETTE))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
