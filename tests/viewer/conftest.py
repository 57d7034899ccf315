"""A browser for all tests of a module, and pages in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.viewer.browser import CHROMIUM, Visit


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--mute-audio"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Opens pages of whatever has a `url`; in the end none of them may have complained or asked another host
    for anything."""
    visits: list[Visit] = []

    def open_page(served: Any, **context: Any) -> Visit:
        visits.append(Visit(browser, served.url, **context))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()
    for one in visits:
        assert one.wrong == []
        assert one.elsewhere == []
