"""What a preset says of real clips, held against what people saw and heard in them, second by second.

    python -m benchmarks.real_clips ../shared/media/clips.yaml --keep runs/real_clips.json

A pair is a second and a class that sounds in it and is in the picture. Recall is the share of true pairs that
are claimed, precision the share of claims that are true, a false alarm any claim in a second in which nothing
in the picture sounds: it is silent, or what sounds is off-screen. Classes that the preset has no noun for are
counted apart. The rules' parameters are chosen for each clip on all others (leave one clip out): the row that
counts. The clips are not part of the project.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from benchmarks import document
from model.errors import ModelError
from model.openavs.interfaces import Prompts
from model.openavs.rules import Ears, Judge, Rules
from model.openavs.table import Table
from streaming.errors import UserError

NAME = "real-clips"
LEAST_AREA = Rules().other_area
NS = 1_000_000_000
# What is tried; everything else stays as the preset has it. Ties go to what stands first, which claims least.
GRID: dict[str, Sequence[Any]] = {
    "mean_s": (3.0, 2.0, 1.0),
    "person_on": (0.4, 0.25, 0.15, 0.1),
    "other_on": (0.2, 0.15, 0.10, 0.05),
    "drop_db": (15.0, 20.0, 30.0),
    "stay": (1.0, 0.7),
    "person_area": (0.02, 0.01),
    "relatives": (False, True),
    "narration_music": (0.05, 0.15, 1.0),
}


@dataclass(frozen=True)
class Second:
    """A second of a clip: what was observed of it, and what is true."""

    t_ns: int
    dbfs: float
    sounds: Mapping[str, float]
    areas: Mapping[str, float]
    closer: Mapping[str, float]  # at a closer look
    sounding: frozenset[str]  # nouns of the preset
    outside: frozenset[str]  # what sounds and is seen, and has no noun
    is_offscreen: bool  # all that sounds is out of sight


@dataclass(frozen=True)
class Clip:
    name: str
    is_sure: bool
    seconds: Sequence[Second]


@dataclass
class Tally:
    """Counts of pairs and of seconds, and the rates they make."""

    hits: int = 0
    missed: int = 0
    wrong: int = 0
    silent: int = 0
    silent_alarms: int = 0
    offscreen: int = 0
    offscreen_alarms: int = 0
    outside: int = 0
    classes: dict[str, list[int]] = field(default_factory=dict)  # hits, missed, wrong of each

    def add(self, second: Second, claimed: Iterable[str]) -> None:
        claims = set(claimed)
        for place, nouns in enumerate(
            (claims & second.sounding, second.sounding - claims, claims - second.sounding)
        ):
            for noun in nouns:
                self.classes.setdefault(noun, [0, 0, 0])[place] += 1
        self.hits += len(claims & second.sounding)
        self.missed += len(second.sounding - claims)
        self.wrong += len(claims - second.sounding)
        self.outside += len(second.outside)
        if not second.sounding and not second.outside:
            if second.is_offscreen:
                self.offscreen += 1
                self.offscreen_alarms += bool(claims)
            else:
                self.silent += 1
                self.silent_alarms += bool(claims)

    def plus(self, other: Tally) -> Tally:
        numbers = {
            name: getattr(self, name) + getattr(other, name) for name in vars(self) if name != "classes"
        }
        classes = {noun: list(counts) for noun, counts in self.classes.items()}
        for noun, counts in other.classes.items():
            classes[noun] = [a + b for a, b in zip(classes.get(noun, [0, 0, 0]), counts, strict=True)]
        return Tally(**numbers, classes=classes)

    @property
    def recall(self) -> float:
        return self.hits / max(1, self.hits + self.missed)

    @property
    def precision(self) -> float:
        return self.hits / max(1, self.hits + self.wrong)

    @property
    def false_alarms(self) -> float:
        return (self.silent_alarms + self.offscreen_alarms) / max(1, self.silent + self.offscreen)

    @property
    def worth(self) -> float:
        """What parameters are chosen by: F1, less the rate of false alarms."""
        return 2 * self.hits / max(1, 2 * self.hits + self.missed + self.wrong) - self.false_alarms


def total(tallies: Iterable[Tally]) -> Tally:
    summed = Tally()
    for one in tallies:
        summed = summed.plus(one)
    return summed


class Scorer:
    """Scores clips under rules. What is heard is worked out once for each way of averaging it."""

    def __init__(self, clips: Sequence[Clip], table: Table) -> None:
        self.clips, self.table = clips, table
        self._heard = cache(self._hear)

    def score(self, clip: Clip, rules: Rules) -> Tally:
        tally, judge = Tally(), Judge(rules)
        heard = self._heard(clip.name, rules.mean_s, rules.drop_db, rules.loudest_s, rules.silence_dbfs)
        for second, prompts in zip(clip.seconds, heard, strict=True):
            areas = dict(second.areas)
            unseen = judge.unseen(prompts, areas)
            areas |= {noun: second.closer[noun] for noun in unseen if noun in second.closer}
            tally.add(second, judge.decide(prompts, areas))
        return tally

    def _hear(self, name: str, *averaging: float) -> list[Prompts | None]:
        clip = next(clip for clip in self.clips if clip.name == name)
        names = ("mean_s", "drop_db", "loudest_s", "silence_dbfs")
        ears = Ears(Rules(**dict(zip(names, averaging, strict=True))))
        told = [ears.hear(one.t_ns, one.dbfs, one.sounds) for one in clip.seconds]
        return [None if sounds is None else self.table.prompts(sounds) for sounds in told]


def settings(rules: Rules) -> Iterator[Rules]:
    """All that are tried."""
    for values in product(*GRID.values()):
        yield replace(rules, **dict(zip(GRID, values, strict=True)))


@dataclass(frozen=True)
class LeftOut:
    """A clip under rules that were chosen on all others.

    best: under those that are best there; cautious: under those that claim least, of all that are not worse
    than the best by more than a standard error.
    """

    clip: Clip
    best: Tally
    cautious: Tally


def left_out(scorer: Scorer, clips: Sequence[Clip], rules: Rules) -> list[LeftOut]:
    """Each clip under the rules that are chosen without it."""
    tried = [[scorer.score(clip, one) for clip in clips] for one in settings(rules)]
    answers = []
    for place, clip in enumerate(clips):
        others = [[*tallies[:place], *tallies[place + 1 :]] for tallies in tried]
        worth = [total(tallies).worth for tallies in others]
        best = worth.index(max(worth))
        enough = worth[best] - standard_error(others[best])
        cautious = next(i for i, one in enumerate(worth) if one >= enough)
        answers.append(LeftOut(clip, tried[best][place], tried[cautious][place]))
    return answers


def standard_error(tallies: Sequence[Tally]) -> float:
    """That of the worth of rules, as clips are few: by leaving out each once more (jackknife)."""
    count = len(tallies)
    without = [total([*tallies[:i], *tallies[i + 1 :]]).worth for i in range(count)]
    mean = sum(without) / count
    return math.sqrt((count - 1) / count * sum((one - mean) ** 2 for one in without))


def best_of_all(scorer: Scorer, clips: Sequence[Clip], rules: Rules) -> Rules:
    """The rules that are best on all clips: what a preset may have, and no score may come from."""
    return max(settings(rules), key=lambda one: total(scorer.score(clip, one) for clip in clips).worth)


def spread(where: object) -> Iterator[int]:
    """The seconds of an entry: 3 or "0-9"."""
    first, _, last = str(where).partition("-")
    return iter(range(int(first), int(last or first) + 1))


def read_clips(path: Path, table: Table, kept: Mapping[str, Any], known: frozenset[str]) -> list[Clip]:
    """Observations joined with the truth."""
    clips = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        truth = {t: about for about in entry["seconds"] for t in spread(about["t"])}
        seconds = []
        for t, dbfs, sounds, areas, nearer in kept[entry["file"]]:
            if t not in truth:
                continue
            nouns = {word: table.noun(word) for word in truth[t]["sounding"]}
            inside = frozenset(noun for noun in nouns.values() if noun in known)
            outside = frozenset(word for word, noun in nouns.items() if noun not in known)
            is_offscreen = not nouns and bool(truth[t]["offscreen"])
            seconds.append(Second(t * NS, dbfs, sounds, areas, nearer, inside, outside, is_offscreen))
        clips.append(Clip(entry["file"], bool(entry["sure"]), seconds))
    return clips


def observed(path: Path, config: Any, table: Table) -> dict[str, Any]:
    """Level, sounds and areas of every second of every clip, by the preset's own networks.

    A closer look is taken at all that was heard of late; the rules say afterwards which they would take.
    """
    from model.openavs.closer import CloserLook
    from model.openavs.deeplab import NOUNS, DeepLab
    from nodes.capture import open_source
    from nodes.openavs.hearing import HearingStage
    from nodes.openavs.providers import weights_of
    from streaming.clock import Clock
    from streaming.messages import Snippet

    ears, eyes = HearingStage.from_config(config), DeepLab(weights_of(config)["deeplab"])
    kept: dict[str, Any] = {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        source = config.source.model_copy(update={"uri": str(path.parent / entry["file"])})
        quiet = config.output.model_copy(update={"annotated": False})
        one = config.model_copy(update={"source": source, "output": quiet})
        rows = kept.setdefault(entry["file"], [])
        look, lately = CloserLook(eyes), list[Prompts]()
        for message in open_source(one, Clock()):
            for features in ears.process(message) if isinstance(message, Snippet) else ():
                seen = eyes.regions(features.image, NOUNS)
                areas = {noun: round(region.area, 5) for noun, region in seen.items()}
                sounds = {sound["name"]: sound["p"] for sound in features.sounds}
                look.saw(seen)
                lately = [*lately[-2:], table.prompts(sounds)]
                heard = {noun for prompts in lately for noun in prompts.nouns.keys() - prompts.people}
                unseen = sorted(noun for noun in heard if areas.get(noun, 0.0) < LEAST_AREA)
                found = look(features.image, unseen, seen)
                nearer = {noun: round(region.area, 5) for noun, region in found.items()}
                rows.append((round(features.t_ns / NS), features.audio_dbfs, sounds, areas, nearer))
        print(f"{entry['file']}: {len(rows)} s", file=sys.stderr)
    return kept


def rates(name: str, tally: Tally) -> str:
    """A row of figures."""
    pairs = tally.hits + tally.missed
    quiet = tally.silent + tally.offscreen
    shares = " | ".join(f"{share:.2f}" for share in (tally.recall, tally.precision, tally.false_alarms))
    return f"| {name} | {shares} | {pairs} | {quiet} |"


def report(clips: Sequence[Clip], scorer: Scorer, rules: Rules) -> list[str]:
    """All figures, as lines of a document."""
    sure, unsure = [clip for clip in clips if clip.is_sure], [clip for clip in clips if not clip.is_sure]
    held = left_out(scorer, sure, rules)
    judged, cautious = total(one.best for one in held), total(one.cautious for one in held)
    head = [
        "| | recall | precision | false alarms | true pairs | quiet seconds |",
        "|---|---|---|---|---|---|",
    ]
    lines = [f"On {document.processor()}; clips marked sure unless said otherwise.", "", *head]
    lines.append(rates(f"**{len(sure)} clips, each left out of the choice: the best on the others**", judged))
    lines.append(rates("**the same: the most cautious within a standard error of that**", cautious))
    lines.append(rates("the preset's own rules", total(scorer.score(clip, rules) for clip in sure)))
    best = best_of_all(scorer, sure, rules)
    lines.append(
        rates("rules chosen on the clips they are scored on", total(scorer.score(c, best) for c in sure))
    )
    lines.append(rates(f"the preset's rules on {len(unsure)} clips not sure",
                       total(scorer.score(clip, rules) for clip in unsure)))  # fmt: skip
    nameless = sorted(set().union(*(second.outside for clip in sure for second in clip.seconds)))
    lines += [
        "",
        "Of the first row, here and below. False alarms in silent seconds: "
        f"{judged.silent_alarms} of {judged.silent}; in seconds whose sound "
        f"is off-screen: {judged.offscreen_alarms} of {judged.offscreen}. Sounding and in sight, but without "
        f"a noun of the preset, in none of these figures: {judged.outside} pairs ({', '.join(nameless)}).",
        "",
        "| class | found | missed | claimed wrongly |",
        "|---|---|---|---|",
        *(f"| {noun} | {a} | {b} | {c} |" for noun, (a, b, c) in sorted(judged.classes.items())),
        "",
        "| clip, left out | found | missed | claimed wrongly | false alarms |",
        "|---|---|---|---|---|",
    ]
    for left in held:
        one = left.best
        alarms = f"{one.silent_alarms + one.offscreen_alarms} of {one.silent + one.offscreen}"
        lines.append(f"| {left.clip.name} | {one.hits} | {one.missed} | {one.wrong} | {alarms} |")
    chosen = {name: getattr(best, name) for name in GRID}
    return [*lines, "", f"Best on all of them: {', '.join(f'`{k}: {v}`' for k, v in chosen.items())}."]


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="python -m benchmarks.real_clips", description=__doc__)
    command.add_argument("clips", type=Path, help="a YAML file of clips and their truth")
    command.add_argument("--model", default="edge", help="the preset (edge)")
    command.add_argument(
        "--keep", type=Path, metavar="FILE", help="observations: taken from there, or put there"
    )
    command.add_argument(
        "--write", type=Path, metavar="FILE", help="a document whose marked part is replaced"
    )
    return command


def main(argv: Sequence[str] | None = None) -> int:
    from nodes.openavs.providers import table_of
    from nodes.openavs.seeing import rules_of
    from streaming.config import load

    args = parser().parse_args(argv)
    try:
        if args.write:
            document.check(args.write, NAME)
        config = load(model=args.model)
        table = table_of(config)
        if args.keep and args.keep.is_file():
            kept = json.loads(args.keep.read_text(encoding="utf-8"))
        else:
            kept = observed(args.clips, config, table)
            if args.keep:
                args.keep.parent.mkdir(parents=True, exist_ok=True)
                args.keep.write_text(json.dumps(kept), encoding="utf-8")
        from model.openavs.deeplab import NOUNS

        known = frozenset(NOUNS) & table.entries.nouns.keys()
        clips = read_clips(args.clips, table, kept, known)
        lines = report(clips, Scorer(clips, table), rules_of(config))
    except (ModelError, UserError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    if args.write:
        document.write(args.write, NAME, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
