"""The page of all settings: it is what the code gives, and tells of a setting what there is to tell."""

from __future__ import annotations

import pytest

from streaming.config import load
from streaming.settings import setting
from tools.configuration_reference import PAGE, page

ROWS = {
    cells[0].strip("`"): cells
    for line in page().splitlines()
    if line.startswith("| `") and len(cells := line.strip("| ").split(" | ")) == 4
}


def test_the_page_in_docs_is_what_the_code_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tools.configuration_reference`"


@pytest.mark.parametrize(
    ("key", "takes", "default", "meaning"),
    [
        ("source.silent_s", "a number from 0.5 to 600 (seconds)", "`5.0`", "counts as lost"),
        ("model.queries", "a whole number from 1 to 1000", "`100` (tiny `12`)", "How many objects"),
        ("model.clip", "text", "`ViT-B-16-quickgelu` (tiny `ov-avss-tiny`, swinb `ViT-L-14", "CLIP"),
        ("model.channels", "a whole number from 32 to 1024, a multiple of 32", "`256`", "Width"),
        ("output.mqtt.ca_file", "text, or nothing", "nothing", "The certificates"),
        ("nodes.model.threads", "a whole number from 1 to 256", "`2`", "How many cores"),
    ],
)
def test_a_row_tells_range_unit_default_and_meaning(key: str, takes: str, default: str, meaning: str) -> None:
    row = ROWS[key]
    assert row[1] == takes
    assert row[2].startswith(default)
    assert meaning in row[3]


def test_keys_are_as_the_command_line_takes_them_and_defaults_will_do() -> None:
    plain = {key: row[2].split(" (")[0] for key, row in ROWS.items() if row[2].startswith("`")}
    assert len(plain) > 50
    tiny = [setting(f"{key}={value.strip('`')}") for key, value in plain.items() if key != "model.name"]
    defaults = load(settings=tiny).model_dump()
    assert defaults["model"]["queries"] == 100
    assert defaults["output"]["mqtt"]["silent_s"] == 1.0
