"""Links that leave docs/ work in the built site, too. MkDocs calls this (`hooks` in mkdocs.yml).

On a code host a link such as `../configs/tiny.yaml` leads to the file. In the site that file gets a page of
its own, made when the site is: Markdown as it is, anything else as code. README.md is the site's front page.
So nothing is written twice, and the site needs no code host.

Paths are relative to the root of the project. `src_uri` is what MkDocs calls the place of a page, as if it
lay in docs/.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
FRONT = "README.md"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|[#/])([^)#\s]+)")
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LANGUAGES = {".py": "python", ".yaml": "yaml"}
MARK = "streaming/viewer/page/mark.svg"  # of the live page, and of the site


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the front page, a page for each file outside docs/ that any page links to, and the mark."""
    files.append(File.generated(config, "images/mark.svg", abs_src_path=str(ROOT / MARK)))
    paths = [FRONT, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    for path in paths:  # which grows meanwhile
        if not path.startswith("docs/"):
            files.append(File.generated(config, place(path), content=content(path)))
        if path.endswith(".md"):
            linked = sorted(targets((ROOT / path).read_text(encoding="utf-8"), path))
            paths += [aim for aim in linked if aim not in paths and is_outside(aim)]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads each link to where its file is in the site; one that leads nowhere stays, for MkDocs to tell."""
    path = origin(page.file.src_uri)
    here = posixpath.dirname(page.file.src_uri)

    def led(link: str) -> str:
        aim = place(resolved(link, path))
        return posixpath.relpath(aim, here) if files.get_file_from_path(aim) else link

    return relinked(markdown, led) if path.endswith(".md") else markdown


def place(path: str) -> str:
    """The src_uri of a file of the project."""
    if path == FRONT:
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"files/{path}" if path.endswith(".md") else f"files/{path}.md"


def origin(src_uri: str) -> str:
    """The file of the project that a page shows: the other way round."""
    if src_uri == "index.md":
        return FRONT
    if not src_uri.startswith("files/"):
        return f"docs/{src_uri}"
    path = src_uri.removeprefix("files/")
    return path if (ROOT / path).is_file() else path.removesuffix(".md")


def content(path: str) -> str:
    """The Markdown of a page that shows a file."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    unsearched = "---\nsearch: {exclude: true}\n---\n\n"
    return f"{unsearched}# {path}\n\n~~~~ {LANGUAGES.get(Path(path).suffix, 'text')}\n{text}\n~~~~\n"


def is_outside(path: str) -> bool:
    """Whether it is a file of the project that MkDocs does not see by itself."""
    return not path.startswith(("docs/", "..")) and (ROOT / path).is_file()


def targets(markdown: str, path: str) -> set[str]:
    """What the links of a Markdown file lead to, of the project."""
    found: set[str] = set()
    relinked(markdown, lambda link: found.add(resolved(link, path)) or link)
    return found


def resolved(link: str, path: str) -> str:
    """Where a link in the file at `path` leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def relinked(markdown: str, led: Callable[[str], str]) -> str:
    """Markdown with the links outside its blocks of code led elsewhere."""
    parts = FENCED.split(markdown)
    parts[::2] = [LINK.sub(lambda match: led(match[1]), part) for part in parts[::2]]
    return "".join(parts)
