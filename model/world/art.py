"""Sprites of the world: colour emoji of nine artists, and plain shapes that need no artist.

The art is installed by whoever makes a world (docs/world.md says how) and is no part of the project. A glyph
is rendered once, cropped to what is drawn, and kept as a PNG: a machine with these PNGs needs nothing else.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from model.errors import ModelError
from model.world.shapes import draw_shape

ART = Path(__file__).resolve().parents[2] / "build" / "world-art"
DRAWINGS = Path(__file__).with_name("drawings.yaml")
SIDE = 144  # of the square that a glyph is rendered into, in pixels: enough for pictures up to 256
HOW = "see docs/world.md, or run: make world-art"
_NOTO = (
    "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
)
_NOTO_STRIKE = 109  # the one size at which this font has bitmaps, 136 x 128
_GROUND = re.compile(r'<path fill="#45413c" d="[^"]*" opacity="\.15"/>')  # Streamline's shadow on the floor

Sprite = NDArray[np.uint8]
"""Shape (h, w, 4) uint8: RGBA, alpha not multiplied in, nothing empty around it."""


class ArtMissing(ModelError):
    """An artist's set, or one glyph of it, is not installed."""


Draw = Callable[[Path, str, int], Image.Image]


@dataclass(frozen=True)
class Artist:
    """A set of emoji by one hand. `draw(folder, emoji, side)` returns a picture, or raises `ArtMissing`."""

    name: str
    title: str
    licence: str
    draw: Draw

    def has(self, emoji: str) -> bool:
        """Whether the artist has drawn it: a table's word, whatever is installed."""
        names = drawings().get(self.name)
        return names is None or emoji in names


@cache
def drawings() -> dict[str, dict[str, str]]:
    """By artist and emoji the names of drawings; artists who are not here have drawn everything."""
    table = yaml.safe_load(DRAWINGS.read_text(encoding="utf-8"))
    words = {artist: text.split() for artist, text in table.items()}
    return {artist: dict(zip(of[::2], of[1::2], strict=True)) for artist, of in words.items()}


def _svg(package: str, pattern: str, *, upper: bool = False) -> Draw:
    """A drawer for npm packages with one SVG per emoji, named by its code points."""

    def draw(folder: Path, emoji: str, side: int) -> Image.Image:
        home = folder / "node_modules" / package
        for code in (code_of(emoji), f"{code_of(emoji)}-fe0f"):
            path = home / pattern.format(code.upper() if upper else code)
            if path.is_file():
                return _rendered(path, side)
        if not home.is_dir():
            raise ArtMissing(f"{home}: the npm package {package} is not installed; {HOW}")
        raise ArtMissing(f"{home}: has no drawing of {emoji} ({code_of(emoji)}); {HOW}")

    return draw


def _icons(artist: str, package: str) -> Draw:
    """A drawer for npm packages of Iconify: one JSON with all drawings, by names that the table knows."""

    def draw(folder: Path, emoji: str, side: int) -> Image.Image:
        path = folder / "node_modules" / package / "icons.json"
        if not path.is_file():
            raise ArtMissing(f"{path.parent}: the npm package {package} is not installed; {HOW}")
        name = drawings()[artist].get(emoji)
        icons = _read(path)
        icon = icons["icons"].get(name)
        if icon is None:
            raise ArtMissing(f"{path}: has no drawing of {emoji} ({name or code_of(emoji)}); {HOW}")
        box = f"0 0 {icon.get('width', icons['width'])} {icon.get('height', icons['height'])}"
        spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        body = _GROUND.sub("", icon["body"])  # things fly here, and what throws shadows is drawn for each
        return _rendered(path, side, f'<svg {spaces} viewBox="{box}">{body}</svg>')

    return draw


@cache
def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtMissing(f"{path}: is damaged: {error}; {HOW}") from error


def _rendered(path: Path, side: int, text: str | None = None) -> Image.Image:
    """The SVG of a file, or a text that was found in it."""
    try:
        import resvg_py  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ArtMissing("resvg-py, which renders SVG, is not installed; pip install '.[world]'") from error
    try:
        where = None if text else str(path)
        picture = resvg_py.svg_to_bytes(svg_string=text, svg_path=where, width=side, height=side)
        return Image.open(io.BytesIO(picture))
    except (ValueError, UnidentifiedImageError) as error:
        raise ArtMissing(f"{path}: cannot be rendered: {error}") from error


def _noto(folder: Path, emoji: str, _: int) -> Image.Image:
    path = next((path for path in (folder / place for place in _NOTO) if path.is_file()), None)
    if path is None:
        raise ArtMissing(f"{_NOTO[1]}: the Debian package fonts-noto-color-emoji is not installed; {HOW}")
    font = ImageFont.truetype(str(path), _NOTO_STRIKE)
    picture = Image.new("RGBA", (136, 128))
    ImageDraw.Draw(picture).text((0, 0), emoji, font=font, embedded_color=True, anchor="lt")
    if not picture.getchannel("A").getbbox():
        raise ArtMissing(f"{path}: has no drawing of {emoji} ({code_of(emoji)}); {HOW}")
    return picture


ARTISTS = {
    artist.name: artist
    for artist in (
        Artist("noto", "Noto Color Emoji by Google", "OFL-1.1", _noto),
        Artist("twemoji", "Twemoji by Twitter and contributors", "CC-BY-4.0", _svg("@twemoji/svg", "{}.svg")),
        Artist(
            "fluent",
            "Fluent Emoji by Microsoft",
            "MIT",
            _svg("@lobehub/fluent-emoji-modern", "assets/{}.svg"),
        ),
        Artist(
            "emojione",
            "EmojiOne 2.3",
            "CC-BY-4.0",
            _icons("emojione", "@iconify-json/emojione"),
        ),
        Artist("blob", "Noto Emoji of 2017 by Google", "Apache-2.0", _icons("blob", "@iconify-json/noto-v1")),
        Artist(
            "fluent-flat",
            "Fluent Emoji, flat, by Microsoft",
            "MIT",
            _icons("fluent-flat", "@iconify-json/fluent-emoji-flat"),
        ),
        Artist(
            "fxemoji", "Firefox OS Emoji by Mozilla", "Apache-2.0", _icons("fxemoji", "@iconify-json/fxemoji")
        ),
        Artist(
            "streamline",
            "Streamline Emojis by Webalys",
            "CC-BY-4.0",
            _icons("streamline", "@iconify-json/streamline-emojis"),
        ),
        Artist("openmoji", "OpenMoji", "CC-BY-SA-4.0", _svg("openmoji", "color/svg/{}.svg", upper=True)),
        Artist(
            "shapes",
            "shapes drawn by this project",
            "Apache-2.0",
            lambda _, emoji, side: draw_shape(emoji, side),
        ),
    )
}
TRAIN = ("noto", "twemoji", "fluent", "emojione", "blob", "fluent-flat", "fxemoji", "streamline")
TEST = ("openmoji",)


def artists_of(names: str) -> tuple[str, ...]:
    """The artists that `train`, `test` or a list such as `noto,shapes` means. Raises `ModelError`."""
    chosen = {"train": TRAIN, "test": TEST}.get(names) or tuple(name.strip() for name in names.split(","))
    for name in chosen:
        if name not in ARTISTS:
            raise ModelError(f"artists: found {name!r}, expected train, test or any of {', '.join(ARTISTS)}")
    return chosen


def code_of(emoji: str) -> str:
    """Code points in lower-case hexadecimal, variation selectors left out: "1f436", "2708"."""
    return "-".join(f"{ord(character):04x}" for character in emoji if character != "\ufe0f")


class Art:
    """Sprites by artist and emoji, at most `side` pixels large, kept in `folder`/sprites."""

    def __init__(self, folder: Path = ART, side: int = SIDE) -> None:
        self.folder, self.side = folder, side
        self.sprite = lru_cache(maxsize=1024)(self._sprite)

    def _sprite(self, artist: str, emoji: str) -> Sprite:
        """Returns the sprite; raises `ArtMissing`."""
        path = self.folder / "sprites" / str(self.side) / artist / f"{code_of(emoji)}.png"
        if artist == "shapes":  # costs less than reading a file
            return _cropped(ARTISTS[artist].draw(self.folder, emoji, self.side))
        if not path.is_file():
            self._keep(_cropped(ARTISTS[artist].draw(self.folder, emoji, self.side)), path)
        with Image.open(path) as picture:
            return np.array(picture.convert("RGBA"))

    def _keep(self, sprite: Sprite, path: Path) -> None:
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sprite).save(partial, "PNG")
            partial.replace(path)  # several processes may render the same glyph
        except OSError as error:
            raise ModelError(f"{path}: the sprite cannot be kept there: {error.strerror or error}") from error

    def render(self, artists: Sequence[str], emoji: Sequence[str]) -> int:
        """Renders ahead of time what they have drawn of these, returns how many. Raises `ArtMissing`."""
        drawn = [(name, glyph) for name in artists for glyph in emoji if ARTISTS[name].has(glyph)]
        for name, glyph in drawn:
            self._sprite(name, glyph)
        return len(drawn)


def _cropped(picture: Image.Image) -> Sprite:
    picture = picture.convert("RGBA")
    drawn = np.asarray(picture)[..., 3] > 8
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return np.array(picture)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
