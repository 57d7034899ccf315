"""One source as the page shows it: figures cut to what a person can read, in words."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streaming.report.chart import Chart, chart
from streaming.report.figures import Figures, Seen
from streaming.report.frames import frames
from streaming.report.portraits import portrait
from streaming.report.rows import Rows, drawn, rows_of, when_text
from streaming.report.run_told import Pairs
from streaming.report.words import clock_text, counted, length_text, moment_text, share_text, spans_text
from streaming.story import UNNAMED

MOST_OBJECTS = 48
MOST_PAIRS = 40
MOST_CHANGES = 60
MOST_LOSSES = 12
SLICES = 160
NAMES_TOLD = 4  # other names of an object


@dataclass
class Card:
    """An object on the contact sheet; `jpeg` in base64, empty where its mask cannot be drawn."""

    name: str
    alt: str
    jpeg: str
    colour: int
    lines: list[str]


@dataclass
class Told:
    """Everything the template needs of one source."""

    id: str
    facts: Pairs
    sentence: str
    story: list[tuple[str, str, str]]  # name, how long, when
    rows: Rows
    data: dict[str, Any]
    marks: list[str]
    cards: list[Card]
    more_cards: int
    pictures: str  # where the pictures are from
    names: list[tuple[str, int, str]]  # label, results, mean probability
    pairs: list[tuple[str, ...]]
    more_pairs: int
    changes: list[tuple[str, ...]]
    more_changes: int
    chart: Chart
    latency: tuple[float, float]
    losses: list[str]


def told(figures: Figures, folder: Path, tapes: list[Path], most_objects: int = MOST_OBJECTS) -> Told:
    """Tells of a source whose files are in `folder`."""
    rows = rows_of(figures)
    cards, more_cards, pictures = _cards(figures, folder, tapes, most_objects)
    pairs = figures.wavering.pairs()
    changes = figures.wavering.changes
    names = sorted(figures.wavering.names.items(), key=lambda item: -item[1].count)
    return Told(
        id=figures.source,
        facts=_facts(figures),
        sentence=_sentence(figures),
        story=_story(figures),
        rows=rows,
        data=drawn(figures, rows),
        marks=_marks(figures),
        cards=cards,
        more_cards=more_cards,
        pictures=pictures,
        names=[(name, named.count, share_text(named.mean_p)) for name, named in names[:MOST_PAIRS]],
        pairs=[
            (label, name, f"{one.count:,}", share_text(figures.wavering.names[label].mean_p),
             share_text(one.mean_p), f"{one.close:,}")
            for label, name, one in pairs[:MOST_PAIRS]
        ],
        more_pairs=max(0, len(pairs) - MOST_PAIRS),
        changes=[
            (_at(figures, one.x_s), f"object {one.track}", one.before, one.after, share_text(one.p),
             "new vocabulary" if one.revised else "")
            for one in changes[:MOST_CHANGES]
        ],
        more_changes=figures.wavering.changes_count - min(len(changes), MOST_CHANGES),
        chart=chart(figures.timing.pace(figures.axis.end_s, SLICES), figures.axis.end_s),
        latency=figures.timing.overall_ms(),
        losses=_losses(figures),
    )  # fmt: skip


def _at(figures: Figures, x_s: float) -> str:
    return clock_text(figures.axis.stream_s(x_s), tenths=figures.hop_s < 1)


def _facts(figures: Figures) -> Pairs:
    step = f"every {figures.hop_s:g} s"
    return [
        ("Results written", f"{moment_text(figures.begun)} to {moment_text(figures.ended)}"),
        ("Results", f"{counted(figures.count, 'result')}, {step}"),
        ("Length", length_text(figures.axis.end_s)),
        ("Objects", counted(len(figures.objects), "object")),
        ("Sound", "heard" if figures.has_audio else "none: the source has no sound"),
    ]


def _sentence(figures: Figures) -> str:
    totals = sorted(((runs.total_s, name) for name, runs in figures.named.items()), reverse=True)
    if totals:
        longest_s, name = totals[0]
        said = (
            f"{counted(len(totals), 'label')} sounded; longest {name}, "
            f"{length_text(longest_s)} of {length_text(figures.axis.end_s)}."
        )
    else:
        said = "Nothing that is seen was found to sound."
    if figures.offscreen.all:
        said += f" Something was heard and not seen for {length_text(figures.offscreen.total_s)}."
    if figures.silence.all:
        said += f" There was silence for {length_text(figures.silence.total_s)}."
    return said


def _story(figures: Figures) -> list[tuple[str, str, str]]:
    story = figures.story.told()
    unseen = [(f"heard, not seen: {text}", told) for text, told in story.get("unseen", [])]
    heard = ("heard, not seen", story["offscreen"])
    entries = [*story["named"], heard, *unseen, ("silence", story["silence"])]
    rows = [
        (name, length_text(one["total_s"]), spans_text(one["spans"], one["more"], tenths=figures.hop_s < 1))
        for name, one in entries
        if one["spans"]
    ]
    return rows + ([("", "", f"and {story['more_names']:,} more labels")] if story["more_names"] else [])


def _marks(figures: Figures) -> list[str]:
    kinds = (
        (figures.gaps, "gap", "", "something was lost right before or inside the window"),
        (figures.generations, "new generation", "", "the source was lost, sought or leapt"),
        (
            figures.vocabularies,
            "change of vocabulary",
            "changes of vocabulary",
            "labels before and after differ",
        ),
    )
    return [f"{counted(marks.count, one, many)}: {what}." for marks, one, many, what in kinds if marks.count]


def _losses(figures: Figures) -> list[str]:
    losses = figures.losses
    if not losses.count:
        said = ["Every number between the first and the last result has a result."]
    else:
        stretches = counted(losses.stretches_count, "stretch", "stretches")
        said = [f"{counted(losses.count, 'result')} missing, in {stretches}."]
        for x_s, first, count in losses.stretches[:MOST_LOSSES]:
            numbers = f"number {first}" if count == 1 else f"numbers {first} to {first + count - 1}"
            said.append(f"Before {_at(figures, x_s)}: {numbers}.")
        if losses.stretches_count > MOST_LOSSES:
            said.append(f"And {losses.stretches_count - MOST_LOSSES:,} more.")
    if losses.first:
        said.append(f"The first result has the number {losses.first}; of those before it there is none.")
    if figures.late:
        said.append(f"{counted(figures.late, 'line')} out of order left out.")
    return said


def _cards(figures: Figures, folder: Path, tapes: list[Path], most: int) -> tuple[list[Card], int, str]:
    longest = sorted(figures.objects.values(), key=lambda seen: (-seen.runs.total_s, seen.id))
    chosen = sorted(longest[:most], key=lambda seen: seen.id)
    portraits: dict[int, bytes | None] = {}
    clean = drawn_in = 0
    for moment, frame in frames(figures, [seen.best for seen in chosen], tapes, folder):
        # Pictures come one by one and are cut at once: whole, they would not all fit into memory.
        portraits[moment.track["id"]] = portrait(moment, frame)
        clean, drawn_in = clean + frame.clean, drawn_in + (not frame.clean)
    for seen in chosen:
        if portraits.get(seen.id) is None:
            portraits[seen.id] = portrait(seen.best, None)
    bare = len(chosen) - clean - drawn_in
    origins = [
        (clean, "from the recorded tape, masks outlined for this report"),
        (drawn_in, "from the annotated film, in which masks are drawn"),
        (bare, "silhouettes of the masks, as no picture was found"),
    ]
    said = "; ".join(f"{count} {words}" for count, words in origins if count)
    cards = [_card(seen, figures, portraits[seen.id]) for seen in chosen]
    return cards, len(longest) - len(chosen), said


def _card(seen: Seen, figures: Figures, jpeg: bytes | None) -> Card:
    others = [name for name in sorted(seen.names, key=lambda name: -seen.names[name]) if name != seen.name]
    at = _at(figures, seen.best.x_s)
    label = seen.best.track["label"] or UNNAMED
    p = next((one["p"] for one in seen.best.track["labels"] if one["name"] == label), None)
    surety = f"{label} {share_text(p)}" if p is not None else label
    lines = [
        f"{length_text(seen.runs.total_s)}: {when_text(seen.runs, figures)}",
        f"shown at {at}: {surety}, sounding {share_text(seen.best.track['sounding'])}",
    ]
    if others:
        more = f" and {len(others) - NAMES_TOLD} more" if len(others) > NAMES_TOLD else ""
        lines.append(f"also called {', '.join(others[:NAMES_TOLD])}{more}")
    return Card(
        name=seen.name,
        alt=f"{seen.name}, object {seen.id}, at {at}",
        jpeg=base64.b64encode(jpeg).decode() if jpeg else "",
        colour=seen.id % 8,
        lines=[f"object {seen.id}", *lines],
    )
