"""The page's modules, each by itself: Node runs their tests, and is given what Python knows to be right."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from model.rle import encode_mask
from streaming.overlay.look import AMBER, DIM, INK, PALETTE
from streaming.overlay.strip import clock_text

PAGE = Path(__file__).resolve().parents[2] / "streaming" / "viewer" / "page"
MODULES = sorted((Path(__file__).parent / "modules").glob("*.test.mjs"))
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node is missing; on Debian: apt install nodejs")


def node(*arguments: str, **environment: str) -> str:
    """What Node says, in the end."""
    done = subprocess.run(
        [str(NODE), *arguments], capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def written_masks() -> list[dict]:
    """Masks of many kinds as the pipeline writes them, and their pixels."""
    rng = np.random.default_rng(3)
    blobs = [rng.random((rng.integers(1, 30), rng.integers(1, 30))) < share for share in (0.05, 0.5, 0.95)]
    edges = np.zeros((20, 30), np.bool_)
    edges[:, 0] = edges[-1] = True
    masks = [*blobs, edges, np.ones((7, 5), np.bool_), np.zeros((4, 6), np.bool_), np.eye(40, dtype=np.bool_)]
    return [
        {**encode_mask(mask), "rows": ["".join("01"[int(pixel)] for pixel in row) for row in mask]}
        for mask in masks
    ]


@needs_node
@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name.split(".")[0])
def test_modules_do_what_they_say(module: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks.json"
    masks.write_text(json.dumps(written_masks()), encoding="utf-8")
    said = node("--test", str(module), MASKS=str(masks))
    passed = re.search(r"^[#ℹ] pass (\d+)", said, re.M)
    assert passed, said
    assert int(passed[1]) > 0


@needs_node
def test_the_page_draws_in_the_colours_of_the_film() -> None:
    program = (
        f"const look = await import({json.dumps((PAGE / 'look.js').as_uri())});"
        "const { PALETTE, INK, AMBER, DIM, clockText } = look;"
        "console.log(JSON.stringify([PALETTE, INK, AMBER, DIM, [0, 7.46, 61, 3725.25, -2].map(clockText)]))"
    )
    palette, ink, amber, dim, times = json.loads(node("--input-type=module", "--eval", program))
    assert [tuple(colour) for colour in palette] == list(PALETTE)
    assert (tuple(ink), tuple(amber), tuple(dim)) == (INK, AMBER, DIM)
    assert times == [clock_text(t_s) for t_s in (0, 7.46, 61, 3725.25, -2)]


# What holds for every file of the page -------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(PAGE.glob("*.js")), ids=lambda path: path.name)
def test_scripts_set_what_comes_as_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", text
    )
    assert found == []
    assert text.startswith(("/**", "/*")), "a module opens with its thought"


@pytest.mark.parametrize("path", sorted(PAGE.glob("*.html")), ids=lambda path: path.name)
def test_documents_have_nothing_inline(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", text) == []


@pytest.mark.parametrize("path", sorted(PAGE.iterdir()), ids=lambda path: path.name)
def test_nothing_is_fetched_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    addresses = set(re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]{2,}", text))
    assert addresses <= {"http://www.w3.org"}  # the name of SVG, which nobody opens


@pytest.mark.parametrize("path", sorted(PAGE.glob("*.html")), ids=lambda path: path.name)
def test_what_documents_and_scripts_name_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r'(?:href|src)="/?page/([^"]+)"', text):
        assert (PAGE / name).is_file(), name
    for script in PAGE.glob("*.js"):
        for name in re.findall(r"from '\./([^']+)'", script.read_text(encoding="utf-8")):
            assert (PAGE / name).is_file(), f"{script.name}: {name}"


def test_elements_that_scripts_look_for_are_in_the_page() -> None:
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([\w-]+)"', text)
    assert len(ids) == len(set(ids))
    for script in PAGE.glob("*.js"):
        if script.name == "token.js":  # of the other document
            continue
        for name in re.findall(r"find\('#([\w-]+)", script.read_text(encoding="utf-8")):
            assert name in ids, f"{script.name}: #{name}"
        for name in re.findall(r"'#(i-[\w-]+)'", script.read_text(encoding="utf-8")):
            assert name in ids, f"{script.name}: #{name}"


def test_the_stand_in_is_as_strict_as_the_server() -> None:
    """What the tests of the page allow it, the specification allows it."""
    source = ast.parse((Path(__file__).parent / "stand_in.py").read_text(encoding="utf-8"))
    headers = next(
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "HEADERS"
    )
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
