"""A page in a real browser, and everything of it that is not as it should be."""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium") or ""
needs_browser = pytest.mark.skipif(
    not CHROMIUM or importlib.util.find_spec("playwright") is None,
    reason="Playwright or Chromium is missing; `make test` installs the one, apt install chromium the other",
)
WIDE = {"width": 1440, "height": 900}


class Visit:
    """A page that is open, and everything that is not as it should be."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": WIDE, "color_scheme": "dark", **context})
        self.page = self.context.new_page()
        self.host = urlsplit(url).netloc
        self.wrong: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", lambda said: self._note(said.type, said.text))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))
        self.page.on("dialog", lambda dialog: self._note("error", f"dialog {dialog.message}"))
        self.page.on("request", self._see)
        self.page.goto(url)

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith("Canvas2D:"):  # what a test reads costs
            self.wrong.append(text)

    def _see(self, request: Any) -> None:
        if not request.url.startswith(("blob:", "data:")) and self.host not in request.url:
            self.elsewhere.append(request.url)

    def state(self, expression: str) -> Any:
        return self.page.evaluate(f"window.ovavss.{expression}")

    def frames(self, source: str) -> list[dict]:
        return self.state(f"frames({json.dumps(source)})")

    def until(self, expression: str, seconds: float = 15) -> None:
        """Asks until it is so. Playwright's own way evaluates strings, which the page's policy forbids."""
        deadline = time.monotonic() + seconds
        while not self._is_so(expression):
            assert time.monotonic() < deadline, f"not so after {seconds} s: {expression}"
            self.page.wait_for_timeout(50)

    def _is_so(self, expression: str) -> bool:
        from playwright.sync_api import Error

        try:
            return bool(self.page.evaluate(expression))
        except Error:  # it is not there yet, or the page is on its way to another address
            return False
