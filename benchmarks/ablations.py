"""The paper's Tables 3 to 5 and this project's own options, trained and scored at the bundled model's size.

    python -m benchmarks.ablations --data data/base data/novel --out runs/ablations

What sees, hears and names is the bundled model's. As the paper begins with a Mask2Former, which can draw
masks and knows nothing of sound, so does every row: with what a Mask2Former has of the bundled model. All
that has to do with sound is drawn at random, and learnt.

Rows that are done are not done again: the command can be stopped, and given again with more seeds or rows.
What it finds is written to OUT/ablations.json, and with `--write docs/ablations.md` to Markdown, in the place
of the tables that stand there, below what is said of them.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

from safetensors.torch import load_file, save_file

from model.checkpoint import weights_path

CONFIG = Path("configs/train/ablations.yaml")
TAKEN = ("see", "hear", "name")  # stages that are another model's
# What a Mask2Former has, by the authors' names.
MASKS = re.compile(
    r"backbone\.|sem_seg_head\.pixel_decoder\.(?!transformer\.encoder\.vl_layer)|sem_seg_head\.predictor\."
    r"(query_|level_embed|decoder_norm|mask_embed|transformer_(cross|self)_attention|transformer_ffn)"
)
SCORES = ("j_base", "j_novel", "miou_base", "miou_novel", "harmonic", "miou", "silent_covered_base")
PAPER = ("miou_base", "miou_novel", "harmonic", "miou")  # the columns of its tables

SOUNDING_ONLY = {"stages.locate.objects": "sounding"}
# The paper's own form, which the bundled model departs from.
AS_PUBLISHED = {
    "model.fusion": "bi-attention",
    "model.sound_head": "query",
    "model.sound_gate": "false",
    **SOUNDING_ONLY,
}


@dataclass(frozen=True)
class Row:
    """A row of a table: what is set for it, and what the paper found with ResNet-50 on AVSBench-OV."""

    name: str
    table: str
    settings: Mapping[str, str]
    paper: tuple[float, float, float, float] | None = None
    trained_as: str | None = None  # where only naming differs, the row whose weights serve

    @property
    def folder(self) -> str:
        return self.trained_as or self.name


def published(name: str, table: str, paper: tuple[float, float, float, float], **changes: str) -> Row:
    settings = AS_PUBLISHED | {f"model.{key}": value for key, value in changes.items()}
    return Row(name, table, settings, paper)


FUSION, PROMPT, CROP, OWN = "Table 3: early fusion", "Table 4: audio prompt", "Table 5: crop", "Our options"
ROWS = (
    published("fusion-none", FUSION, (47.38, 20.69, 28.80, 36.89), fusion="none"),
    published("fusion-add", FUSION, (48.94, 21.73, 30.10, 38.24), fusion="add"),
    published("fusion-one-level", FUSION, (49.22, 21.89, 30.30, 38.46), fusion_levels="one"),
    published("published", FUSION, (49.77, 22.20, 30.71, 38.91)),
    published("prompt-none", PROMPT, (46.77, 19.98, 27.99, 36.23), audio_prompt="none"),
    published("prompt-concat-add", PROMPT, (48.02, 20.38, 28.62, 37.12), audio_prompt="concat-add"),
    published("prompt-cross-attention", PROMPT, (49.19, 20.79, 29.22, 37.95), audio_prompt="cross-attention"),
    Row("prompt-audio-mask-dec", PROMPT, AS_PUBLISHED, (49.77, 22.20, 30.71, 38.91), "published"),
    Row("crop-none", CROP, {"model.crop": "none"}, (46.23, 18.43, 26.36, 35.32), "bundled"),
    Row("crop-resize", CROP, {"model.crop": "resize"}, (47.61, 20.92, 29.06, 37.14), "bundled"),
    Row("crop-square", CROP, {}, (49.77, 22.20, 30.71, 38.91), "bundled"),
    Row("bundled", OWN, {}),
    Row("no-similarity", OWN, {"model.fusion": "bi-attention"}),
    Row("no-relations", OWN, {"model.sound_head": "query"}),
    Row("no-gate", OWN, {"model.sound_gate": "false", **SOUNDING_ONLY}),
)


@dataclass
class Bench:
    """Runs rows, one after the other, and remembers what they scored: row -> seed -> scores."""

    base: str
    data: Sequence[Path]
    out: Path
    steps: int
    clips: int
    found: dict[str, dict[str, dict[str, float | None]]] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.out / "ablations.json"

    def run(self, rows: Iterable[Row], seeds: Sequence[int]) -> None:
        """All rows with the first seed, then with the next: whenever it is stopped, rows can be compared."""
        if self.file.is_file():
            self.found = json.loads(self.file.read_text(encoding="utf-8"))
        for seed in seeds:
            for row in rows:
                if str(seed) not in self.found.setdefault(row.name, {}):
                    weights = self._train(row, seed)
                    self.found[row.name][str(seed)] = self._score(row, seed, weights)
                    self.file.write_text(json.dumps(self.found, indent=1), encoding="utf-8")

    def _train(self, row: Row, seed: int) -> Path:
        out = self.out / f"{row.folder}-{seed}"
        out.mkdir(parents=True, exist_ok=True)
        stock = self.out / "stock"  # all rows learn from the same
        stock.mkdir(exist_ok=True)
        if not (out / "stock").exists():
            (out / "stock").symlink_to(stock.resolve())
        trained = next(other for other in ROWS if other.name == row.folder)
        settings = {
            **{f"stages.{name}.weights": self.base for name in TAKEN},
            "stages.locate.mask2former": str(self._masks()),
            "stages.locate.steps": str(self.steps),
            "stages.locate.seed": str(seed),
            **trained.settings,
        }
        _command("train", "--config", str(CONFIG), "--out", str(out), *_set(settings))
        return out / "model.safetensors"

    def _masks(self) -> Path:
        """A file with what a Mask2Former has of the base model."""
        path = self.out / "mask2former.safetensors"
        if not path.is_file():
            held = load_file(weights_path(self.base))
            save_file({name: value for name, value in held.items() if MASKS.match(name)}, path)
        return path

    def _score(self, row: Row, seed: int, weights: Path) -> dict[str, float | None]:
        out = self.out / f"{row.name}-{seed}" / "scores"
        trained = next(other for other in ROWS if other.name == row.folder)
        settings = {**trained.settings, **row.settings}
        model = {key: value for key, value in settings.items() if key.startswith("model.")}
        data = [str(path) for path in self.data]
        _command(
            "evaluate", "--model", "tiny", "--weights", str(weights), "--data", *data, "--mode", "offline",
            "--clips", str(self.clips), "--no-controls", "--out", str(out), *_set(model),
        )  # fmt: skip
        scores = json.loads((out / "scores.json").read_text(encoding="utf-8"))
        return {name: scores.get(name) for name in SCORES}


def _set(settings: Mapping[str, str]) -> list[str]:
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def _command(*arguments: str) -> None:
    """Raises `SystemExit` with the command's own code where it fails; it has said why."""
    done = subprocess.run([sys.executable, "run_pipeline.py", *arguments], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def tables(found: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> str:
    """What was found, as Markdown: ours and the paper's side by side, means over seeds with their spread."""
    lines = []
    for table in dict.fromkeys(row.table for row in ROWS):
        lines += ["", f"## {table}", ""]
        heads = [name.replace("_", " ") for name in SCORES]
        lines += [
            f"| | {' | '.join(heads)} | paper: base | novel | harmonic | mIoU | seeds |",
            f"|---|{'---:|' * (len(SCORES) + 5)}",
        ]
        for row in (row for row in ROWS if row.table == table):
            runs = list(found.get(row.name, {}).values())
            ours = [_told([run[name] for run in runs]) for name in SCORES]
            theirs = [f"{value:.2f}" for value in row.paper] if row.paper else [""] * 4
            lines.append(f"| {row.name} | {' | '.join([*ours, *theirs])} | {len(runs)} |")
    return "\n".join(lines[1:]) + "\n"


def _told(values: Sequence[float | None]) -> str:
    known = [100 * value for value in values if value is not None]
    if not known:
        return ""
    return f"{mean(known):.1f}" + (f" ± {stdev(known):.1f}" if len(known) > 1 else "")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--base",
        default="bundled:tiny",
        metavar="MODEL",
        help="what sees, hears and names (default: bundled:tiny, or a file)",
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR", help="sets to score on")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"), metavar="DIR")
    parser.add_argument("--steps", type=int, default=240, help="for each row (default: 240)")
    parser.add_argument("--clips", type=int, default=40, help="of each set, to score on (default: 40)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], help="rows to do")
    parser.add_argument("--write", type=Path, metavar="FILE", help="where the tables go")
    args = parser.parse_args(argv)
    bench = Bench(args.base, args.data, args.out, args.steps, args.clips)
    args.out.mkdir(parents=True, exist_ok=True)
    bench.run([row for row in ROWS if not args.only or row.name in args.only], args.seeds)
    told = tables(bench.found)
    if args.write:
        said = args.write.read_text(encoding="utf-8") if args.write.is_file() else "# Ablations\n\n## "
        args.write.write_text(said.partition("\n## ")[0] + "\n" + told, encoding="utf-8")
    print(told)


if __name__ == "__main__":
    main()
