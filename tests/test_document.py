"""Figures in documents: they come in their place, and all else stays."""

from __future__ import annotations

from pathlib import Path

import pytest

import run_pipeline
from benchmarks.document import check, write
from streaming.errors import UserError
from tests.pipeline import ROOT

PAGE = "# Title\n\n<!-- bench: begin -->\nold\n<!-- bench: end -->\n\nThe rest.\n"


def test_figures_come_in_the_place_of_older_ones_and_all_else_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    write(page, "bench", ["| figure |", "|---|"])
    assert page.read_text(encoding="utf-8") == PAGE.replace("old", "| figure |\n|---|")
    write(page, "bench", ["old"])
    assert page.read_text(encoding="utf-8") == PAGE


@pytest.mark.parametrize("text", ["no marks", "<!-- bench: end -->\n<!-- bench: begin -->", None])
def test_a_document_without_a_place_for_them_is_told_of_before_anything_is_measured(
    tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"page\.md: (found no part|cannot be read)"):
        check(page, "bench")
    assert run_pipeline.main(["bench", "--write", str(page), "--json", str(tmp_path / "bench.json")]) == 2
    assert "page.md" in capsys.readouterr().err
    assert not (tmp_path / "bench.json").exists()


@pytest.mark.parametrize(
    ("page", "name"), [("performance.md", "bench"), ("reliability.md", "soak"), ("viewer.md", "viewer")]
)
def test_the_pages_with_figures_have_a_place_for_them(page: str, name: str) -> None:
    check(ROOT / "docs" / page, name)
