"""The picture of the demo clip: a dog, a bell tower and a train on a summer evening."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.demo_brush import GRAIN, Canvas, Colour, Points, oval, points, smooth, turned
from tools.demo_score import (
    BARKS,
    CHUFF_HZ,
    CLASSES,
    FPS,
    HEIGHT,
    TRAIN,
    WHISTLES,
    WIDTH,
    mouth,
    strikes,
    swing_degrees,
)


@cache
def backdrop() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """All that never moves, and what of it stands before the railway (the tower, the bushes)."""
    rng = np.random.default_rng(7)
    canvas = Canvas(np.zeros((HEIGHT * GRAIN, WIDTH * GRAIN, 3), np.uint8))
    edge = points((-5, 0), (WIDTH + 5, 0), (WIDTH + 5, 215), (-5, 215))
    canvas.fill(edge, (94, 160, 214), (255, 222, 178))
    for radius, opacity in ((110, 0.30), (60, 0.35), (32, 0.9)):
        canvas.fill(
            oval(330, 118, radius, radius),
            (255, 240, 200),
            opacity=opacity,
            blur=radius / 3 if radius > 32 else 2,
        )
    for x, y, size in ((80, 52, 1.0), (225, 32, 0.7), (420, 58, 0.8), (615, 40, 0.9)):
        for dx, dy, across, down in ((0, 0, 44, 9), (-18, -7, 18, 10), (6, -12, 22, 14), (28, -5, 16, 9)):
            shape = oval(x + dx * size, y + dy * size, across * size, down * size)
            canvas.fill(shape, (255, 252, 246), (244, 226, 214), opacity=0.75, blur=3.2)
    x = np.linspace(-10, WIDTH + 10, 160)
    for height, wave, phase, top, foot in (
        (150, 13, 0.2, (146, 172, 190), (190, 200, 190)),
        (166, 10, 2.0, (118, 160, 150), (160, 186, 140)),
        (178, 7, 4.1, (104, 156, 104), (140, 180, 100)),
    ):
        ridge = height - wave * (np.sin(x / 71 + phase) + 0.5 * np.sin(x / 33 + 2 * phase))
        low = points((WIDTH + 10, 235), (-10, 235))
        canvas.fill(np.concatenate([np.stack([x, ridge], axis=1), low]), top, foot)
    for _ in range(46):  # a wood on the last ridge
        tx, ty, size = rng.uniform(-10, 650), rng.uniform(176, 186), rng.uniform(4, 9)
        canvas.fill(oval(tx, ty, size, size * 1.1), (74, 128, 84), (58, 104, 74))
    bank = points((-5, 200), (WIDTH + 5, 200), (WIDTH + 5, 226), (-5, 226))
    canvas.fill(bank, (150, 138, 120), (112, 118, 84))
    for sleeper in range(-4, 650, 9):
        canvas.fill(
            points((sleeper, 201), (sleeper + 5, 201), (sleeper + 4, 204), (sleeper - 1, 204)), (92, 74, 62)
        )
    canvas.fill(
        points((-5, 199), (WIDTH + 5, 199), (WIDTH + 5, 201.4), (-5, 201.4)), (206, 208, 214), (120, 122, 130)
    )

    before = Canvas(canvas.picture, {"before": np.zeros((HEIGHT * GRAIN, WIDTH * GRAIN), np.uint8)})
    meadow = np.stack([x, 216 + 3 * np.sin(x / 57)], axis=1)
    foot = points((WIDTH + 10, HEIGHT + 5), (-10, HEIGHT + 5))
    before.fill(np.concatenate([meadow, foot]), (150, 196, 92), (62, 124, 62), name="before")
    for bx, by, size in (
        (14, 214, 15),
        (38, 218, 11),
        (628, 215, 16),
        (604, 219, 10),
        (365, 218, 9),
        (385, 220, 7),
    ):
        before.fill(oval(bx, by, size * 1.3, size), (112, 170, 84), (56, 108, 62), name="before")
    for _ in range(520):
        gx, gy = rng.uniform(0, WIDTH), 224 + 132 * rng.uniform() ** 0.8
        tall = 2 + 7 * (gy - 215) / 145
        lean = rng.uniform(-2, 2)
        green = (int(90 + 80 * rng.uniform()), int(160 + 50 * rng.uniform()), int(70 + 30 * rng.uniform()))
        before.fill(points((gx, gy), (gx + lean, gy - tall)), green, stroke=0.6, opacity=0.55)
    for _ in range(34):
        fx, fy = rng.uniform(0, WIDTH), rng.uniform(236, 352)
        petal = [(255, 250, 240), (255, 214, 92), (246, 150, 170)][int(rng.integers(3))]
        size = 0.9 + 1.6 * (fy - 230) / 125
        before.fill(oval(fx, fy, size * 1.5, size * 0.9), (50, 100, 50), opacity=0.3, blur=0.6)
        before.fill(oval(fx, fy - size * 1.6, size, size * 0.8), petal)
    _tower(before)
    return canvas.picture, before.shows["before"]


def _tower(canvas: Canvas) -> None:
    canvas.fill(oval(506, 304, 92, 13), (24, 56, 30), opacity=0.45, blur=5)
    wall = points((468, 118), (560, 118), (566, 302), (462, 302))
    canvas.fill(wall, (226, 206, 178), (186, 158, 132), name="before")
    canvas.fill(points((538, 118), (560, 118), (566, 302), (540, 302)), (164, 134, 118), (138, 110, 100))
    for row in range(12):
        for column in range(6):
            left = 467 + column * 17 + (row % 2) * 8
            if left + 14 < 562 and not (row < 5 and 474 < left + 7 < 554):
                block = points((left, 200 + row * 8.6), (left + 14, 200 + row * 8.6))
                canvas.fill(block, (150, 124, 104), stroke=0.7, opacity=0.35)
    roof = points((455, 120), (514, 52), (573, 120))
    canvas.fill(roof, (206, 98, 72), (164, 66, 56), name="before")
    canvas.fill(points((514, 52), (573, 120), (540, 120)), (134, 50, 50), opacity=0.55)
    canvas.fill(points((452, 117), (576, 117), (576, 123), (452, 123)), (122, 74, 62), name="before")
    canvas.fill(points((514, 54), (514, 38)), (96, 84, 80), stroke=1.6)
    canvas.fill(points((514, 40), (527, 44), (514, 48)), (240, 190, 70))
    arch = np.concatenate([oval(514, 150, 31, 24)[20:], points((545, 196), (483, 196))])
    canvas.fill(arch, (70, 60, 74), (104, 84, 80), name="before")
    canvas.fill(points((478, 196), (550, 196), (552, 202), (476, 202)), (236, 218, 192), (176, 150, 126))
    door = np.concatenate([oval(514, 272, 13, 13)[20:], points((527, 302), (501, 302))])
    canvas.fill(door, (122, 80, 58), (86, 54, 42))


def frame(index: int) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.bool_]]]:
    """Returns picture `index`, (360, 640, 3) uint8 RGB, and the (360, 640) mask of each thing seen."""
    t = index / FPS
    still, before = backdrop()
    blank = np.zeros(before.shape, np.uint8)
    canvas = Canvas(still.copy(), {name: blank.copy() for name in CLASSES})
    _draw_train(canvas, t, before)
    _draw_bell(canvas, t)
    _draw_dog(canvas, t)
    picture, masks = canvas.finished()
    return picture, {name: mask for name, mask in masks.items() if mask.any()}


def _draw_train(canvas: Canvas, t: float, before: NDArray[np.uint8]) -> None:
    start, end = TRAIN
    nose = -6 + (WIDTH + 300) * (t - start) / (end - start)
    if not -10 < nose < WIDTH + 300:
        return
    for puff in range(28):  # smoke stays behind where it was let go
        born = start + puff / (2 * CHUFF_HZ)
        age = t - born
        if 0 < age < 1.6:
            x = -6 + (WIDTH + 300) * (born - start) / (end - start) - 25 - 8 * age
            size, fade = 4 + 13 * age, 0.75 * (1 - age / 1.6)
            puffs = oval(x, 148 - 22 * age - 6 * age * age, size * 1.15, size)
            canvas.fill(
                puffs, (255, 253, 250), (214, 208, 214), opacity=fade, blur=1 + 2 * age, behind=before
            )

    def part(shape: Points, colour: Colour, below: Colour | None = None, **how: Any) -> None:
        canvas.fill(shape + np.array((nose, 0)), colour, below, name="train", behind=before, **how)

    def box(left: float, top: float, right: float, bottom: float) -> Points:
        return points((left, top), (right, top), (right, bottom), (left, bottom))

    bounce = 0.5 * math.sin(2 * math.pi * CHUFF_HZ * t)
    for wagon, (light, dark) in enumerate(
        (((232, 180, 72), (188, 120, 40)), ((92, 158, 186), (48, 100, 134)))
    ):
        right = -104 - wagon * 92
        part(box(right - 4, 187, right + 8, 191), (58, 52, 56))
        part(box(right - 84, 157, right - 2, 192), light, dark)
        part(box(right - 87, 153, right + 1, 158.5), (96, 74, 70), (70, 54, 54))
        for pane in range(4):
            part(
                box(right - 78 + pane * 19.5, 163, right - 64 + pane * 19.5, 175),
                (255, 246, 214),
                (196, 222, 230),
            )
        part(box(right - 84, 180, right - 2, 182), (255, 240, 210))
    part(box(-100, 186, -4, 193), (52, 46, 52))
    part(box(-98, 158, -66, 190), (206, 62, 56), (146, 34, 42))
    part(box(-102, 152, -62, 158), (60, 48, 54), (44, 36, 42))
    part(box(-92, 163, -74, 176), (255, 246, 214), (196, 222, 230))
    part(smooth(points((-66, 167), (-40, 166), (-14, 167), (-10, 177), (-14, 188), (-40, 189), (-66, 188))),
         (232, 92, 78), (134, 28, 38))  # fmt: skip
    for band in (-50, -34, -20):
        part(points((band, 167.5), (band, 188)), (250, 200, 96), stroke=1.6)
    part(points((-30, 168), (-20, 168), (-18.5, 152), (-31.5, 152)), (74, 62, 68), (52, 44, 50))
    part(box(-33, 149, -17, 153), (96, 82, 86))
    part(oval(-47, 166, 6, 6), (250, 206, 110), (188, 130, 50))
    part(oval(-9, 175, 4, 5), (255, 250, 220), (250, 216, 130))
    part(points((-8, 190), (4, 199), (-14, 199)), (92, 80, 84), (56, 48, 54))
    turn = 360 * t * 2.2
    for x, radius in (
        (-88, 8),
        (-64, 8),
        (-40, 8),
        (-18, 5.5),
        *((-104 - 92 * w - d, 5) for w in (0, 1) for d in (16, 68)),
    ):
        part(oval(x, 199 - radius, radius, radius), (58, 50, 56), (34, 30, 36))
        part(oval(x, 199 - radius, radius * 0.62, radius * 0.62), (196, 64, 56), (150, 40, 46))
        spoke = points((x - radius * 0.6, 199 - radius), (x + radius * 0.6, 199 - radius))
        for angle in (0, 60, 120):
            part(turned(spoke, (x, 199 - radius), turn + angle), (70, 56, 60), stroke=1)
    rod = 3.6 * np.array([math.cos(math.radians(turn)), math.sin(math.radians(turn))])
    part(points((-88, 191), (-40, 191)) + rod, (214, 214, 220), stroke=2)
    if any(a <= t <= b for a, b in WHISTLES):
        for jet in range(4):
            steam = oval(nose - 56 - 3 * jet, 150 - 5 * jet + bounce, 2.5 + 1.6 * jet, 2.5 + 1.2 * jet)
            canvas.fill(steam, (255, 255, 255), opacity=0.7 - 0.12 * jet, blur=1.2, behind=before)


def _draw_bell(canvas: Canvas, t: float) -> None:
    angle, pivot = swing_degrees(t), (514.0, 134.0)
    canvas.fill(points((486, 134), (542, 134)), (92, 62, 46), stroke=4)

    def part(
        shape: Points, colour: Colour, below: Colour | None = None, lead: float = 1.0, **how: Any
    ) -> None:
        canvas.fill(turned(shape, pivot, angle * lead), colour, below, name="bell", **how)

    part(points((514, 136), (514, 181)), (84, 66, 50), lead=1.35, stroke=2)
    part(oval(514, 182, 4.5, 4.5), (120, 92, 60), (70, 52, 40), lead=1.35)
    body = points(
        (508, 138), (520, 138), (526, 146), (528, 160), (532, 170), (539, 177), (534, 180),
        (514, 181), (494, 180), (489, 177), (496, 170), (500, 160), (502, 146),
    )  # fmt: skip
    part(smooth(body), (255, 214, 104), (176, 112, 34))
    part(
        smooth(points((520, 141), (525, 150), (527, 163), (534, 176), (524, 178), (519, 160))),
        (150, 92, 28),
        opacity=0.5,
    )
    part(
        smooth(points((506, 143), (509, 144), (507, 160), (502, 172), (499, 171), (504, 158))),
        (255, 246, 196),
        opacity=0.8,
    )
    part(points((494, 175), (534, 175)), (142, 88, 30), stroke=1.4)
    part(oval(514, 135, 5, 4), (200, 140, 50), (150, 96, 34))
    for strike in strikes():  # a shiver of light right after each stroke
        age = t - strike
        if 0 <= age < 0.3:
            for ring in (0, 1):
                halo = oval(514, 164, 34 + 46 * age + 10 * ring, 26 + 40 * age + 9 * ring)
                canvas.fill(
                    np.concatenate([halo, halo[:1]]),
                    (255, 240, 190),
                    stroke=1.2,
                    opacity=0.55 * (1 - age / 0.3),
                )


def _draw_dog(canvas: Canvas, t: float) -> None:
    opened = mouth(t)
    happy = any(0 < t - bark < 0.6 for bark in BARKS)
    tail = 14 * math.sin(2 * math.pi * (3.2 if happy else 1.1) * t)
    breath = 1.2 * math.sin(2 * math.pi * 0.6 * t)
    hop = -4 * opened
    fur, shade, light = (206, 142, 82), (150, 92, 52), (250, 232, 206)

    canvas.fill(oval(150, 333, 66, 9), (20, 52, 28), opacity=0.5, blur=4)

    def part(shape: Points, colour: Colour, below: Colour | None = None, **how: Any) -> None:
        canvas.fill(shape, colour, below, name="dog", **how)

    root = (106.0, 318.0)
    plume = points((112, 324), (96, 318), (80, 300), (74, 282), (82, 280), (94, 296), (112, 310))
    part(turned(smooth(plume), root, tail), fur, shade)
    part(
        turned(smooth(points((74, 282), (82, 280), (87, 290), (80, 297))), root, tail), light, (236, 208, 176)
    )
    body = points(
        (158, 232 + hop), (182, 246 + hop), (188, 280), (186, 330), (150, 334), (108, 333), (98, 316),
        (108, 288), (124, 258 + hop), (140, 238 + hop),
    )  # fmt: skip
    part(smooth(body), fur, shade)
    chest = points(
        (172, 250 + hop), (186, 262 + hop), (187 + breath, 284), (176, 302), (166, 284), (163, 262 + hop)
    )
    part(smooth(chest), light, (232, 206, 176))
    part(
        smooth(points((112, 292), (134, 288), (148, 306), (146, 328), (120, 333), (104, 326), (103, 306))),
        (214, 150, 90),
        (158, 100, 58),
    )
    part(smooth(points((128, 326), (152, 322), (162, 328), (160, 335), (132, 335))), light, (226, 198, 168))
    for x, tone in ((160, 0.86), (174, 1.0)):
        leg = points((x - 8, 276), (x + 8, 276), (x + 7, 306), (x + 8, 328), (x - 7, 328), (x - 7, 306))
        part(smooth(leg), tuple(int(c * tone) for c in fur), tuple(int(c * tone) for c in (172, 112, 66)))  # type: ignore[arg-type]
        paw = points((x - 8, 324), (x + 6, 323), (x + 13, 329), (x + 11, 336), (x - 8, 336))
        part(smooth(paw), tuple(int(c * tone) for c in light), tuple(int(c * tone) for c in (226, 198, 168)))  # type: ignore[arg-type]
        for toe in (2, 6.5):
            part(points((x + toe, 330), (x + toe + 0.5, 335)), (150, 110, 80), stroke=0.9)

    neck, nod = (160.0, 236.0 + hop), -13 * opened + 1.5 * math.sin(2 * math.pi * 0.3 * t)

    def head(
        shape: Points, colour: Colour, below: Colour | None = None, jaw: float = 0.0, **how: Any
    ) -> None:
        if jaw:
            shape = turned(shape, (178, 222), jaw)
        part(turned(shape + np.array((0, hop)), neck, nod), colour, below, **how)

    gape = 27 * opened
    part(
        smooth(
            points(
                (142, 246 + hop),
                (146, 222 + hop),
                (170, 218 + hop),
                (184, 240 + hop),
                (180, 250 + hop),
                (152, 253 + hop),
            )
        ),
        (200, 136, 78),
        (192, 130, 75),
    )
    head(
        smooth(points((170, 216), (190, 218), (206, 218), (212, 222), (206, 227), (190, 231), (170, 232))),
        light,
        (214, 182, 152),
        jaw=gape,
    )
    if opened > 0.1:
        head(
            smooth(
                points(
                    (174, 218),
                    (196, 218),
                    (206, 220 + 3 * opened),
                    (199, 220 + 13 * opened),
                    (180, 222 + 9 * opened),
                )
            ),
            (120, 36, 44),
            (92, 24, 34),
        )
        tongue = smooth(points((178, 218), (194, 216), (204, 217), (206, 221), (194, 224), (180, 223)))
        head(tongue, (240, 126, 134), (214, 92, 108), jaw=gape * 0.8)
    skull = points(
        (140, 214), (144, 196), (158, 185), (174, 185), (185, 193), (192, 203), (206, 206), (217, 211),
        (218, 219), (208, 224), (190, 225), (176, 230), (158, 234), (144, 228),
    )  # fmt: skip
    head(smooth(skull), (218, 154, 92), (176, 114, 66))
    head(
        smooth(points((186, 204), (204, 207), (216, 212), (217, 219), (207, 223), (190, 224), (180, 218))),
        light,
        (226, 196, 164),
    )
    head(
        smooth(points((208, 205), (216, 205), (221, 210), (217, 215), (210, 213))), (52, 40, 42), (28, 22, 26)
    )
    head(oval(213, 207.5, 1.8, 1.1), (190, 180, 184))
    head(points((184, 224), (196, 222), (208, 220), (213, 215)), (130, 86, 62), stroke=1.1)
    blink = 0.15 if (t % 3.7) < 0.12 else 1.0
    head(oval(180, 202, 4.6, 5.2 * blink), (255, 252, 246))
    head(oval(181.2, 202.4, 3.4, 4.2 * blink), (60, 38, 28))
    head(oval(182.4, 200.8, 1.2, 1.2 * blink), (255, 255, 255))
    head(
        points((173, 194.5 - 2 * opened), (179, 191.5 - 2 * opened), (186, 193 - 2 * opened)),
        (140, 86, 48),
        stroke=1.6,
    )
    flap = -20 * opened + 3 * math.sin(2 * math.pi * 0.6 * t)
    ear = points(
        (150, 190), (160, 187), (166, 196), (165, 214), (158, 231), (148, 234), (142, 224), (143, 204)
    )
    head(turned(smooth(ear), (156.0, 190.0), flap), (160, 98, 54), (116, 66, 38))
    collar = points((145, 236), (158, 242), (172, 241), (183, 233)) + np.array((0, hop))
    part(collar, (208, 54, 62), stroke=5)
    part(oval(178, 245 + hop, 4, 4.6), (255, 214, 104), (190, 128, 40))
    if opened > 0.35:
        for angle in (-28, 0, 28):
            line = turned(points((232, 214), (243, 214)), (214, 214), angle) + np.array((0, hop - 6))
            canvas.fill(line, (255, 255, 255), stroke=2.2, opacity=0.85 * opened)
