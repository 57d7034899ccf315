"""The documentation as a site: it builds without a warning, its links hold, it needs nothing but itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline import ROOT

pytest.importorskip("material", reason="MkDocs with its theme is missing; `make test` installs it")
from tools.site_links import origin, place, relinked, resolved

CHROMIUM = shutil.which("chromium") or ""


def build(into: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(into), *options],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a strict build makes: it ends with an error for any link, anchor or page that is not right."""
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def pages(site: Path) -> list[Path]:
    """All but the one for addresses that are none, which only a server shows."""
    return [path for path in sorted(site.rglob("*.html")) if path.name != "404.html"]


# The build ------------------------------------------------------------------------------------------------


def test_every_page_of_docs_is_there_and_readme_is_the_front(site: Path) -> None:
    sources = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert sources | {"index"} <= {path.stem for path in site.glob("*.html")}
    assert "which pixels are making sound" in (site / "index.html").read_text(encoding="utf-8")


def test_a_file_outside_docs_has_a_page_that_shows_it(site: Path) -> None:
    html = (site / "files/configs/r50.yaml.html").read_text(encoding="utf-8")
    assert "ViT-B-16-quickgelu" in html
    assert 'href="files/configs/r50.yaml.html"' in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "files/model/weights/tiny.html").is_file()


def test_links_of_pages_lead_to_pages_that_are_there(site: Path) -> None:
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        for link in re.findall(r'(?:href|src)="(?!https?:|data:|#|mailto:)([^"#?]+)', text):
            assert (path.parent / link).exists(), f"{path.relative_to(site)}: {link}"


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    for name in ("docs", "tools", "configs", "streaming", "model"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.safetensors", "*.pyc"))
    for name in ("mkdocs.yml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    with (tmp_path / "docs" / "vocabulary.md").open("a", encoding="utf-8") as page:
        page.write("\n[gone](../configs/gone.yaml), [nowhere](results.md#nowhere)\n")
    done = build(tmp_path / "site", "--config-file", str(tmp_path / "mkdocs.yml"))
    assert done.returncode != 0
    assert "gone.yaml" in done.stderr
    assert "#nowhere" in done.stderr


# From a disk, without a network ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is missing; `make test` installs it"
    )
    if not CHROMIUM:
        pytest.skip("Chromium is missing; on Debian: apt install chromium")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


def test_no_page_fetches_anything_from_elsewhere(site: Path, browser: Any) -> None:
    page = browser.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    for path in pages(site):
        page.goto(path.as_uri(), wait_until="networkidle")
    page.close()
    assert [url for url in asked if not url.startswith((site.as_uri(), "data:", "about:"))] == []
    assert len(asked) > len(pages(site))
    assert wrong == []


def test_search_works_from_a_disk(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((site / "index.html").as_uri())
    page.click(".md-search__input")
    page.keyboard.type("microphone")
    page.wait_for_selector(".md-search-result__link")
    found = page.locator(".md-search-result__link").evaluate_all("links => links.map(link => link.href)")
    page.close()
    assert any("cameras.html" in link or "webcam.html" in link for link in found)


# Where links lead -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "src_uri"),
    [
        ("README.md", "index.md"),
        ("docs/results.md", "results.md"),
        ("docs/images/demo.png", "images/demo.png"),
        ("model/weights/tiny.md", "files/model/weights/tiny.md"),
        ("configs/tiny.yaml", "files/configs/tiny.yaml.md"),
        ("LICENSE", "files/LICENSE.md"),
    ],
)
def test_every_file_has_one_place_in_the_site(path: str, src_uri: str) -> None:
    assert place(path) == src_uri
    assert origin(src_uri) == path


def test_links_are_relative_to_the_file_they_stand_in() -> None:
    assert resolved("../configs/tiny.yaml", "docs/results.md") == "configs/tiny.yaml"
    assert resolved("docs/images/demo.png", "README.md") == "docs/images/demo.png"


def test_links_are_led_elsewhere_but_not_in_code_nor_out_of_the_project() -> None:
    text = (
        "[a](a.md#b) ![c](c.png)\n\n```\n[d](d.md)\n```\n\n[e](https://e.org/) [f](#f) [g](mailto:g@g.org)\n"
    )
    led = relinked(text, lambda link: f"led/{link}")
    assert led == text.replace("(a.md", "(led/a.md").replace("(c.png", "(led/c.png")
