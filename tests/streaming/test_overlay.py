from __future__ import annotations

import itertools

import numpy as np
import pytest

from streaming.overlay import DrawnTrack, compose, draw, draw_strip
from streaming.overlay.layer import Layer, fitting_text, rounded_box, text_coverage, text_width
from streaming.overlay.layout import Box, place
from streaming.overlay.look import PALETTE, Style, track_colour
from streaming.overlay.masks import soft_mask
from streaming.overlay.strip import clock_text, strip_height

SIZES = [(90, 160), (360, 640), (640, 360), (720, 1280), (1080, 1920)]


def disc(height: int, width: int, x: float = 0.5, y: float = 0.5, radius: float = 0.15) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.hypot(columns - x * width, rows - y * height) < radius * min(height, width)


def track(mask: np.ndarray, track_id: int = 0, **changes) -> DrawnTrack:
    return DrawnTrack(**{"id": track_id, "label": "dog", "p": 0.93, "sounding": 1.0, "mask": mask} | changes)


def grey(height: int, width: int, level: int = 110) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


# ---------------------------------------------------------------- colours

# Linear RGB as dichromats see it (Machado, Oliveira, Fernandes 2009, severity 1).
SIGHT = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def oklab(linear: np.ndarray) -> np.ndarray:
    cones = np.array([[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]])
    axes = np.array(
        [[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]]
    )
    return np.cbrt(np.clip(linear, 0, 1) @ cones.T) @ axes.T


@pytest.mark.parametrize(
    ("sight", "apart"), [("normal", 0.13), ("protan", 0.10), ("deutan", 0.10), ("tritan", 0.07)]
)
def test_every_pair_of_colours_is_told_apart_by_every_eye(sight: str, apart: float) -> None:
    share = np.array(PALETTE) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = oklab(linear @ np.array(SIGHT[sight]).T)
    least = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert least > apart


def test_a_track_keeps_its_colour_for_ever() -> None:
    assert [track_colour(k) for k in (0, 1, 7)] == [(99, 250, 255), (255, 111, 10), (222, 52, 60)]
    assert track_colour(10**12 * 8 + 3) == track_colour(3)


# ---------------------------------------------------------------- layers


def test_a_layer_laid_over_gives_what_painting_one_by_one_gives() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 60, 3), np.uint8)
    layer, wanted = Layer(40, 60), picture.astype(float)
    for colour, x, y, opacity in [
        ((255, 0, 10), -7, 5, 1.0),
        ((0, 200, 90), 20, -9, 0.5),
        ((9, 9, 9), 30, 20, 0.8),
    ]:
        cover = rng.integers(0, 256, (30, 50), np.uint8)
        layer.fill(cover, colour, x, y, opacity)
        for row, column in itertools.product(range(40), range(60)):
            if 0 <= row - y < 30 and 0 <= column - x < 50:
                share = cover[row - y, column - x] / 255 * opacity
                wanted[row, column] = wanted[row, column] * (1 - share) + share * np.array(colour)
    assert np.abs(layer.over(picture).astype(float) - wanted).max() <= 3.0


def test_an_empty_layer_changes_nothing_and_a_full_one_everything() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    layer = Layer(20, 30)
    layer.fill(np.full((20, 30), 0, np.uint8), (1, 2, 3))
    layer.fill(np.full((9, 9), 255, np.uint8), (1, 2, 3), 100, 100)
    np.testing.assert_array_equal(layer.over(picture), picture)
    layer.fill(np.full((20, 30), 255, np.uint8), (1, 2, 3))
    assert (layer.over(picture) == (1, 2, 3)).all()


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="the layer is for pictures of"):
        Layer(20, 30).over(grey(30, 20))


def test_a_rounded_box_is_symmetric_full_inside_and_empty_in_its_corners() -> None:
    box = rounded_box(40, 20, 8)
    assert box[10, 20] == box[0, 20] == box[10, 0] == 255
    assert box[0, 0] == 0
    np.testing.assert_array_equal(box, box[::-1, ::-1])


@pytest.mark.parametrize("text", ["café", "лай", "σκύλος", "犬", "ñandú 93 %", "כלב"])
def test_letters_of_many_scripts_are_drawn_and_not_replaced(text: str) -> None:
    drawn = text_coverage(text, 24)
    assert drawn.max() > 200
    assert not np.array_equal(drawn, text_coverage("?" * len(text), 24))
    marks = {text_coverage(letter, 24).tobytes() for letter in set(text) if letter.strip()}
    assert len(marks) == len({letter for letter in text if letter.strip()}), (
        "every letter has a shape of its own"
    )
    assert text_coverage("?", 24).tobytes() not in marks


def test_long_labels_are_shortened_and_line_breaks_do_not_break() -> None:
    assert fitting_text("dog", 20, 500, 200) == "dog"
    assert fitting_text("a\nb\t c\x00", 20, 500, 200) == "a b c"
    short = fitting_text("a dog that barks at a passing train", 20, 500, 120)
    assert short.endswith("…")
    assert text_width(short, 20, 500) <= 120


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_mask_is_tinted_inside_outlined_at_its_edge_and_absent_outside(height: int, width: int) -> None:
    mask = disc(height, width, y=0.4)
    colour = np.array(track_colour(1))
    drawn = compose([track(mask, 1)], height, width).over(grey(height, width)).astype(float)
    style = Style.of(height, width)
    y, x = round(0.4 * height), round(0.5 * width)
    radius = 0.15 * min(height, width)
    inside = drawn[y + round(radius / 2), x]
    assert np.abs(inside - (0.64 * 110 + 0.36 * colour)).max() < 3
    edge = drawn[y + round(radius) - 3 : y + round(radius) + 3, x]
    assert np.abs(edge - colour).max(axis=1).min() < 40, "the outline is nearly the pure colour"
    beside = x + round(radius + 3 * style.softness + style.outline + 2)
    assert (drawn[y, beside:] == 110).all()


def test_a_surer_sound_is_tinted_more() -> None:
    mask = disc(360, 640)
    levels = [
        compose([track(mask, 1, sounding=sounding)], 360, 640).over(grey(360, 640))[200, 320, 0]
        for sounding in (-3.0, 0.0, 0.5, 1.0, 7.0)
    ]
    assert levels[0] == levels[1] < levels[2] < levels[3] == levels[4]


def test_a_soft_mask_is_half_at_the_edge_and_follows_the_normal_distribution() -> None:
    mask = np.zeros((60, 80), bool)
    mask[:, 40:] = True
    soft = soft_mask(mask, 60, 80, 2.0)
    assert soft[30, 39] + int(soft[30, 40]) == pytest.approx(255, abs=2)
    assert soft[30, 36] == pytest.approx(255 * 0.04, abs=3)  # 1.75 sigma away
    assert soft[30, 20] == 0
    assert soft[30, 60] == 255
    small = soft_mask(mask, 30, 40, 1.0)
    assert small.shape == (30, 40)
    assert small[15, 5] == 0
    assert small[15, 35] == 255


def test_masks_at_the_border_empty_masks_and_single_pixels_are_drawn_without_harm() -> None:
    whole, nothing, pixel = np.ones((90, 160), bool), np.zeros((90, 160), bool), np.zeros((90, 160), bool)
    pixel[0, 159] = True
    drawn = draw(
        grey(90, 160), [track(m, i) for i, m in enumerate((whole, nothing, pixel))], t_s=0, level_dbfs=-20
    )
    assert drawn.shape == (90, 160, 3)
    with pytest.raises(ValueError, match="mask of track 0 is"):
        compose([track(whole)], 91, 160)


# ---------------------------------------------------------------- plates


def test_plates_lie_within_the_picture_and_clear_of_each_other() -> None:
    within = Box(2, 2, 636, 330)
    rng = np.random.default_rng(3)
    for _ in range(200):
        taken: list[Box] = []
        for _ in range(4):
            x, y = int(rng.integers(-20, 630)), int(rng.integers(-20, 350))
            box = place(
                90, 30, Box(x, y, int(rng.integers(1, 120)), int(rng.integers(1, 120))), within, taken
            )
            assert box.overlap(within) == 90 * 30
            assert all(box.overlap(other) == 0 for other in taken)
            taken.append(box)


def test_a_plate_stands_above_its_object_when_there_is_room_and_inside_it_at_the_upper_edge() -> None:
    within = Box(0, 0, 640, 330)
    above = place(90, 30, Box(300, 100, 80, 80), within, [])
    assert above.y + above.height < 100
    assert above.x + above.width // 2 == pytest.approx(340, abs=1)
    inside = place(90, 30, Box(300, 0, 80, 200), within, [])
    assert 0 < inside.y < 30


def test_a_plate_leaves_other_objects_in_sight() -> None:
    within, around, others = Box(0, 0, 640, 330), Box(300, 100, 80, 80), np.zeros((360, 640), bool)
    others[40:100, 280:400] = True
    box = place(90, 30, around, within, [], others)
    assert not others[box.y : box.y + 30, box.x : box.x + 90].any()


def test_a_plate_shows_name_and_share_and_its_bar_the_sounding_score() -> None:
    mask = disc(360, 640, y=0.6)

    def plate(**changes) -> np.ndarray:
        clear = compose([track(mask, 1, sounding=0.5)], 360, 640).over(grey(360, 640)).astype(int)
        other = (
            compose([track(mask, 1, **{"sounding": 0.5} | changes)], 360, 640)
            .over(grey(360, 640))
            .astype(int)
        )
        return np.abs(other - clear).max(axis=2)[:160]

    assert plate().max() == 0
    assert plate(label="cat").max() > 100
    assert plate(p=0.41).max() > 50
    assert plate(p=None).max() > 50
    grown = np.flatnonzero(plate(sounding=1.0).max(axis=0) > 60)
    shrunk = np.flatnonzero(plate(sounding=0.0).max(axis=0) > 60)
    assert shrunk.max() < grown.min(), (
        "the bar grows from its middle to the right, shrinks from it to the left"
    )


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_everything_at_once_stays_inside_at_every_size(height: int, width: int) -> None:
    tracks = [
        track(disc(height, width, x, y), index, label="a very long name of a thing that sounds")
        for index, (x, y) in enumerate([(0.05, 0.05), (0.95, 0.1), (0.5, 0.95), (0.5, 0.5), (0.55, 0.55)])
    ]
    picture = grey(height, width)
    drawn = draw(
        picture,
        tracks,
        t_s=3661.25,
        level_dbfs=-3.0,
        offscreen="offscreen sound",
        notice="stand-in weights " * 9,
    )
    assert drawn.shape == picture.shape
    assert (picture == 110).all(), "the picture given is left alone"
    again = draw(
        picture,
        tracks[::-1],
        t_s=3661.25,
        level_dbfs=-3.0,
        offscreen="offscreen sound",
        notice="stand-in weights " * 9,
    )
    np.testing.assert_array_equal(drawn, again)


# ---------------------------------------------------------------- strip and badges


@pytest.mark.parametrize(
    ("t_s", "text"),
    [
        (0, "0:00.0"),
        (7.44, "0:07.4"),
        (59.96, "0:59.9"),
        (60, "1:00.0"),
        (3661.2, "1:01:01.2"),
        (-0.5, "-0:00.5"),
        (0.3, "0:00.3"),
    ],
)
def test_time_is_written_as_people_write_it(t_s: float, text: str) -> None:
    assert clock_text(t_s) == text


def test_the_meter_lights_up_with_the_level() -> None:
    def light(level_dbfs: float | None) -> int:
        picture = grey(360, 640, 0)
        draw_strip(picture, t_s=0, level_dbfs=level_dbfs)
        return int(picture[:, 400:].sum())

    lights = [light(level) for level in (-120.0, -60.0, -40.0, -20.0, 0.0, 6.0)]
    assert lights[0] == lights[1] < lights[2] < lights[3] < lights[4] == lights[5]
    words = grey(360, 640, 0)
    draw_strip(words, t_s=0, level_dbfs=None)
    assert words[:, 400:].any(), "a source without sound says so"


def test_the_strip_touches_nothing_above_it() -> None:
    picture = grey(360, 640)
    draw_strip(picture, t_s=12.3, level_dbfs=-10)
    height = strip_height(Style.of(360, 640))
    assert (picture[:-height] == 110).all()
    assert (picture[-height:] != 110).any()


def test_badge_and_notice_do_not_cover_each_other() -> None:
    for height, width in SIZES[1:]:
        plain = compose([], height, width).over(grey(height, width)).astype(int)
        layers = [
            compose([], height, width, offscreen=offscreen, notice=notice)
            .over(grey(height, width))
            .astype(int)
            for offscreen, notice in [
                ("offscreen: church bell", ""),
                (None, "these masks mean nothing"),
                ("offscreen: church bell", "these masks mean nothing"),
            ]
        ]
        badge, notice, both = (np.abs(layer - plain).max(axis=2) > 0 for layer in layers)
        assert badge.any()
        assert notice.any()
        assert both.sum() == badge.sum() + notice.sum()
