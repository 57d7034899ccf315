"""The files of the page, as they lie in the package."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent / "page"
ASKING = "token.html"  # asks for the token
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}


def read_page(folder: Path) -> dict[str, tuple[bytes, str]]:
    """The files of the page by name, with what they are: nothing else can be asked for."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), KINDS[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in KINDS
    }
