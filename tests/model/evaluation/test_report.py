"""What is written of the scores, for programs and for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from model.errors import ModelError
from model.evaluation.plot import COLOURS, LEFT, PAPER, TOP, WIDTH, Bars, plot
from model.evaluation.report import Report
from model.evaluation.scores import Scorer
from tests.model.evaluation.hand_made import ANIMALS, DOG, HARP, claims, clip
from tests.model.evaluation.test_scores import KEYS

ABOUT = {"model": "small", "part": "test"}
LEFT_SIDE, RIGHT_SIDE = "##.... ##.... ...... ......", "....## ....## ....## ......"


def scorer(*named: str) -> Scorer:
    """Of a clip in which a dog and a harp sound, answered with the dog and perhaps the harp."""
    one = Scorer(ANIMALS, "avsbench-ov")
    masks = [LEFT_SIDE if name == "dog" else RIGHT_SIDE for name in named]
    one.add(clip([(DOG, [LEFT_SIDE]), (HARP, [RIGHT_SIDE])]), [claims(*masks, names=named)])
    return one


def test_the_file_for_programs_is_flat_and_has_both_modes(tmp_path: Path) -> None:
    Report(ABOUT, {"offline": scorer("dog", "harp"), "streaming": scorer("dog")}).write(tmp_path)
    flat = json.loads((tmp_path / "scores.json").read_text())
    assert flat.keys() == {*ABOUT, *KEYS, *(f"streaming_{key}" for key in KEYS)}
    assert {key: flat[key] for key in ABOUT} == ABOUT
    assert (flat["j"], flat["streaming_j"], flat["j_novel"], flat["streaming_j_novel"]) == (1, 0.4, 1, 0)
    assert flat["silent_covered_base"] is None
    assert flat["m_j"] is flat["streaming_m_f"] is None
    assert flat["clips"] == flat["streaming_clips"] == 1


@pytest.mark.parametrize(
    ("mode", "present", "absent"), [("offline", "j", "streaming_j"), ("streaming", "streaming_j", "j")]
)
def test_a_mode_that_was_not_run_is_null(mode: str, present: str, absent: str) -> None:
    flat = Report(ABOUT, {mode: scorer("dog")}).flat()
    assert flat.keys() == {*ABOUT, *KEYS, *(f"streaming_{key}" for key in KEYS)}
    assert flat[present] == 0.4
    assert flat[absent] is None


def test_the_page_sets_modes_side_by_side_and_lists_classes(tmp_path: Path) -> None:
    report = Report(ABOUT, {"offline": scorer("dog", "harp"), "streaming": scorer("dog")})
    page = report.markdown().splitlines()
    assert "- model: small" in page
    assert "- 1 clips, 1 frames with known truth" in page
    assert "| J: what sounds, whatever it is called |  | 1.0000 | 0.4000 | -0.6000 |" in page
    assert "| | novel | 1.0000 | 0.0000 | -1.0000 |" in [line.replace("|  |", "| |") for line in page]
    assert not [line for line in page if "M_J" in line or "silent" in line], "what nobody knows is left out"
    classes = [line for line in page if line.startswith(("| dog", "| cat", "| harp"))]
    assert classes[0] == "| dog | base | 1 | 1.0000 | 1.0000 |"
    assert classes[1].endswith("| 0.0000 |")
    assert len(classes) == 2
    assert "| classes left out of the means |  | 1 | 1 | +0 |" in page, "the cat"


def test_one_mode_has_no_difference() -> None:
    report = Report(ABOUT, {"offline": scorer("dog")})
    assert report.heading == ["", "", "offline"]
    assert all(len(row) == 3 for row in report.rows())


def test_the_table_on_the_screen_tells_the_same() -> None:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(Report(ABOUT, {"offline": scorer("dog")}).table())
    assert "0.4000" in console.export_text()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere: cannot be written"):
        Report(ABOUT, {"offline": scorer("dog")}).write(tmp_path / "nowhere")


def test_bars_are_as_long_as_values_are_large() -> None:
    rows = [Bars("dog", "base", [0.5, 0.25]), Bars("harp", "novel", [1.0, 0.0])]
    picture = plot(rows, ["offline", "streaming"])
    width, height = picture.size
    strong, pale = (
        [_length(picture, Image.new("RGB", (1, 1), colour)) for colour in pair]
        for pair in COLOURS.values()
        if pair != COLOURS["other"]
    )
    assert strong == [WIDTH // 2, WIDTH // 4]
    assert pale[0] == WIDTH
    assert width > LEFT + WIDTH
    assert height > TOP + 40
    assert picture.getpixel((0, 0)) == Image.new("RGB", (1, 1), PAPER).getpixel((0, 0))


def _length(picture: Image.Image, colour: Image.Image) -> int:
    """Of the longest bar of a colour."""
    wanted = colour.getpixel((0, 0))
    width, height = picture.size
    return max(sum(picture.getpixel((x, y)) == wanted for x in range(LEFT, width)) for y in range(height)) - 1


def test_the_plot_is_there_where_there_are_classes(tmp_path: Path) -> None:
    Report(ABOUT, {"offline": scorer("dog", "harp"), "streaming": scorer("dog")}).write(tmp_path)
    with Image.open(tmp_path / "per_class.png") as picture:
        assert picture.format == "PNG"
    (tmp_path / "without").mkdir()
    Report(ABOUT, {"offline": Scorer(ANIMALS, "ms3")}).write(tmp_path / "without")
    assert sorted(path.name for path in (tmp_path / "without").iterdir()) == ["scores.json", "scores.md"]
