"""Puts a trained model on the shelf of those that come with the project, in half precision.

`python tools/bundle_model.py runs/tiny/model.safetensors tiny` writes model/weights/tiny.safetensors, which
`checkpoint: bundled:tiny` means. It is half as long, and loads as float32 again.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from model.checkpoint import BUNDLED, PARTS, weights_path
from model.errors import ModelError
from model.health import SUMS
from model.training.saving import write_tensors


def halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Floats as float16, all else as it is. Raises `ModelError` for a number that does not fit."""
    made = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    if broken := [name for name, value in made.items() if not value.isfinite().all()]:
        raise ModelError(f"too large for half precision, or not finite: {', '.join(broken)}")
    return made


def bundle(source: Path, target: Path) -> str:
    """Writes it; what was written, in one line. Raises `ModelError`."""
    if not source.is_file():
        raise ModelError(f"{source}: no such file; train a model first (docs/training.md)")
    tensors = halved(load_file(source))
    missing = [part for part, names in PARTS.items() if not any(n.startswith(names) for n in tensors)]
    if missing:
        raise ModelError(f"{source}: found no {', no '.join(missing)}; expected a whole model")
    write_tensors(tensors, target)
    count = sum(value.numel() for value in tensors.values())
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    _sum_up(target.with_name(SUMS), target.name, digest)
    return f"{target}: {count / 1e6:.2f} M numbers, {target.stat().st_size / 1e6:.1f} MB, SHA-256 {digest}"


def _sum_up(path: Path, name: str, digest: str) -> None:
    """Note what a file on the shelf is to be, in the place of what was noted of it."""
    others = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = [line for line in others if line.split()[1] != name]
    path.write_text("".join(f"{line}\n" for line in [*lines, f"{digest}  {name}"]), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path, metavar="FILE", help="model.safetensors of a training")
    parser.add_argument("name", help="what it is called on the shelf")
    args = parser.parse_args()
    try:
        print(bundle(args.source, weights_path(BUNDLED + args.name)))
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
