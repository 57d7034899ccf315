"""The file as a whole: what it says, what it withstands, and how it looks in a real browser."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from streaming.errors import UserError
from streaming.report.report import harmless, write_report
from tests import pipeline
from tests.streaming.report.lines import HOSTILE, line, track, written

CHROMIUM = shutil.which("chromium") or ""


def report_of(folder: Path) -> str:
    out, _ = write_report(folder, folder / "report.html")
    return out.read_text("utf-8")


def test_whatever_a_label_says_is_text(tmp_path: Path) -> None:
    page = report_of(written(tmp_path, line(0, track(1, HOSTILE)), line(1, track(1), source=".-_")))
    assert HOSTILE not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_json_in_a_script_cannot_end_it() -> None:
    packed = harmless([HOSTILE, "<!--", "\u2028"])
    assert not set("<>&\u2028") & set(packed)
    assert json.loads(packed) == [HOSTILE, "<!--", "\u2028"]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    out, remarks = write_report(written(tmp_path, line(0), {}, tail="{"), tmp_path / "deep" / "r.html")
    assert [remark.split(" ")[0] for remark in remarks] == ["1", "The", "No"]
    assert all(remark.split("(")[0] in out.read_text("utf-8") for remark in remarks)


def test_sources_have_each_their_own_part(tmp_path: Path) -> None:
    for name in ("front", "back"):
        written(tmp_path / name, line(0, track(1), source=name))
    page = report_of(tmp_path)
    assert page.count('<section class="panel timeline"') == 2
    assert "Looked at</dt><dd>back, front" in page


@pytest.mark.parametrize("content", ["", "{}\n", "\n\n"])
def test_without_a_result_it_is_one_clear_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text(content)
    with pytest.raises(UserError, match="found no result to tell of"):
        report_of(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_mask_that_is_none_costs_its_picture_alone(tmp_path: Path) -> None:
    broken = track(2, "cat", mask={"size": [1 << 30, 1 << 30], "counts": "zz"})
    page = report_of(written(tmp_path, line(0, track(1), broken)))
    assert page.count("data:image/jpeg") == 1
    assert "no mask to draw" in page


@pytest.mark.parametrize(
    "content",
    ["[]", "{", '{"runs":[{"begun":"2026","settings":[1],"counters":{"a":1},"tapes":7}]}', "[" * 99999],
)
def test_a_record_of_any_shape_is_withstood(content: str, tmp_path: Path) -> None:
    written(tmp_path, line(0, track(1)))
    (tmp_path / "run.json").write_text(content)
    assert "What sounded when" in report_of(tmp_path)


def test_thousands_of_objects_stay_bounded(tmp_path: Path) -> None:
    folder = written(tmp_path, *(line(n, track(n, f"word {n % 300}")) for n in range(3000)))
    page = report_of(folder)
    assert page.count('<li class="card') == 48
    assert "and 260 more labels" in page
    assert len(page) < 2_000_000


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    """Opens a report from disk; in the end nothing may have been asked for, nor complained of."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is missing; `make test` installs it"
    )
    if not CHROMIUM:
        pytest.skip("Chromium is missing; on Debian: apt install chromium")
    wrong: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def open_page(folder: Path, **context: Any) -> Any:
            out, _ = write_report(folder, folder / "report.html")
            page = browser.new_context(**context).new_page()
            # The one hint left out is about what the test itself reads.
            page.on("console", lambda said: said.text.startswith("Canvas2D:") or wrong.append(said.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("dialog", lambda dialog: wrong.append(dialog.message))
            page.on(
                "request",
                lambda asked: (
                    None
                    if asked.url.startswith("data:") or asked.url == out.as_uri()
                    else wrong.append(asked.url)
                ),
            )
            page.goto(out.as_uri())
            return page

        yield open_page
        browser.close()
    assert wrong == []


# The share of a row's width that is orange, the colour of the first object.
ORANGE = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, canvas.height / 2 + 5, canvas.width, 1);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) count += data[i] > 200 && data[i + 2] < 60;
    return count / canvas.width;
}"""


def test_a_browser_shows_rows_and_takes_a_hostile_label_for_text(opened: Any, tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        line(0, track(1, HOSTILE), track(2)),
        line(1, track(2), track(3)),
        line(2, offscreen=True),
        line(3, t_s=100.0, generation=1, gap=True),
    )
    page = opened(folder)
    names = page.locator(".line[data-row]:not([hidden]) .name span").all_inner_texts()
    assert names == ["dog", HOSTILE, "heard, not seen", "silence"]
    assert page.locator("img[src='x']").count() == 0
    assert page.locator(".card img").evaluate_all("all => all.every((one) => one.naturalWidth === 320)")
    page.locator(".fold").click()
    assert page.locator(".line.beneath .name span").all_inner_texts() == ["object 2", "object 3"]
    assert page.locator(".line.beneath").first.is_visible()


def test_a_row_is_painted_where_it_sounds_and_can_be_zoomed_to(opened: Any, tmp_path: Path) -> None:
    page = opened(written(tmp_path, *(line(n, *([track(1)] if n < 2 else [])) for n in range(8))))
    canvas = page.locator(".line.c1 canvas").first

    def share() -> float:
        return canvas.evaluate(ORANGE)

    assert share() == pytest.approx(2 / 8, abs=0.03)
    page.locator(".lines").focus()
    page.keyboard.press("+")
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    assert share() == pytest.approx(2 / 4, abs=0.03)
    page.keyboard.press("0")
    assert share() == pytest.approx(2 / 8, abs=0.03)
    box = page.locator(".over").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 8 * 1.5, box["y"] + 90)
    assert page.locator(".tip p").all_inner_texts()[:2] == ["0:01.5", "dog, sounding 90 %"]


def test_it_fits_a_phone(opened: Any, tmp_path: Path) -> None:
    folder = written(tmp_path, line(0, track(1, "a" * 200), track(2, HOSTILE * 5)))
    page = opened(folder, viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.slow
def test_a_real_run_is_told_as_it_was(opened: Any, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    demo = ("--config", "configs/demo.yaml", "--set", f"output.dir={out}", "--quiet")
    recorded = ("--record", str(out / "tape.mcap"))
    assert pipeline.command("run", *demo, *recorded, cwd=pipeline.ROOT).returncode == 0
    assert "5 from the recorded tape" in report_of(out)
    (out / "tape.mcap").unlink()
    told = pipeline.command("report", str(out))
    assert (told.returncode, told.stderr) == (0, "")
    page = opened(out)
    text = page.locator("body").inner_text()
    assert "5 from the annotated film" in text
    for name in ("dog", "violin", "drum", "wolf"):
        assert page.locator(f".line[data-name='{name}']").count() == 1
    assert "in order" in text
    assert len(json.loads((out / "run.json").read_text())["runs"][0]["weights"]["sha256"]) == 64
    assert os.stat(out / "report.html").st_size < 500_000
