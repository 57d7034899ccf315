"""The page in a real browser, against a stand-in that knows where everything is."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.viewer.browser import WIDE, needs_browser
from tests.viewer.stand_in import HOSTILE, WORDS, Discs, StandIn, bounce, smooth

pytestmark = needs_browser
BANNER = "document.querySelector('.banner')?.innerText"
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def serve() -> Iterator[Callable[..., StandIn]]:
    """Starts stand-ins, which end after the pages."""
    with contextlib.ExitStack() as stack:
        yield lambda *given, **more: stack.enter_context(StandIn(*given, **more).running())


@pytest.fixture
def stand_in(serve: Any) -> StandIn:
    return serve({"front": Discs(smooth)})


def test_the_picture_moves_and_what_sounds_is_named_where_it_is(stand_in: StandIn, visit: Any) -> None:
    scene = stand_in.scenes["front"]
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').length > 75")
    frames = opened.frames("front")
    times = [frame["t_s"] for frame in frames]
    assert times == sorted(times)
    assert {(frame["width"], frame["height"]) for frame in frames} == {(640, 360)}
    named = {track["label"] for frame in frames for track in frame["tracks"]}
    assert named <= {WORDS[0], WORDS[-1]}
    whole = 0
    for frame in frames[25:]:
        drawn = {track["id"] for track in frame["tracks"]}
        # What sounds in a hop is what its result says, that is, what sounded at its last picture.
        said = {thing.id for thing in scene.things(_last_picture_of_hop(frame["t_s"]))}
        assert drawn <= said, frame["t_s"]
        whole += drawn == said
    assert whole > 0.9 * len(frames[25:])


def test_what_is_heard_and_not_seen_is_told_by_what_it_is(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("document.querySelector('#now').innerText.includes('offscreen: telephone')", 20)
    said = (
        "[...document.querySelectorAll('canvas')].map((one) => one.getAttribute('aria-label') ?? '').join()"
    )
    opened.until(f"{said}.includes('telephone from off-screen')", 20)


def _last_picture_of_hop(t_s: float) -> float:
    return ((t_s + 1e-6) // 0.5 + 1) * 0.5 - 0.04


def test_pixels_of_what_sounds_are_tinted_and_others_left_alone(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').at(-1)?.tracks.some((track) => track.id === 1)")
    opened.page.keyboard.press(" ")
    frame = opened.state("sources.front")
    track = next(track for track in frame["tracks"] if track["id"] == 1)
    probe = """([x, y]) => {
        const canvas = document.querySelector('.tile-canvas');
        const scale = Math.min(canvas.width / 640, canvas.height / 360);
        const [left, top] = [(canvas.width - 640 * scale) / 2, (canvas.height - 360 * scale) / 2];
        const at = (px, py) => canvas.getContext('2d')
            .getImageData(left + px * scale, top + py * scale, 1, 1).data;
        return [[...at(x, y)], [...at(620, 20)]];
    }"""
    inside, outside = opened.page.evaluate(probe, track["centre"])
    assert inside[0] - inside[2] > 60, "the light disc is tinted in the orange of track 1"
    assert max(outside[:3]) - min(outside[:3]) < 40, "the ground is as grey as it was"


@pytest.mark.parametrize("path", [smooth, bounce], ids=["smooth", "bounce"])
def test_masks_do_not_trail_what_moves(path: Any, serve: Any, visit: Any) -> None:
    scene = Discs(path, seed=2)
    stand_in = serve({"front": scene}, began_s=31)
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').length > 280", 30)
    frames = opened.frames("front")
    # Where a machine pauses and the next result is late, the last velocity is all there is to go by.
    on_time = [frame for frame in frames if frame["age_s"] is not None and frame["age_s"] < 0.02]
    assert len(on_time) > 0.9 * len(frames[25:])
    off = {}
    for frame in on_time:
        for track in frame["tracks"]:
            if track["id"] == 1:
                x, y = scene.centre(frame["t_s"])
                lag = ((track["centre"][0] - x) ** 2 + (track["centre"][1] - y) ** 2) ** 0.5
                off[frame["t_s"]] = lag / frame["width"]
    assert len(off) > 100
    worst = max(off, key=lambda t_s: off[t_s])
    print(f"{path.__name__}: at most {off[worst]:.4f} of the width, at {worst:.2f} s, {len(off)} frames")
    assert off[worst] < 0.05, f"{off[worst]:.3f} of the width at {worst:.2f} s"


def test_the_timeline_fills_and_shows_the_frame_under_the_pointer(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("document.querySelectorAll('#names li').length === 2")
    names = opened.page.locator("#names li")
    assert set(names.all_inner_texts()) == {WORDS[0], WORDS[-1]}
    filled = """() => {
        const canvas = document.querySelector('#bars');
        const y = 14 * canvas.width / canvas.clientWidth;
        const row = canvas.getContext('2d').getImageData(0, y, canvas.width, 1).data;
        return row.filter((_, index) => index % 4 === 3 && row[index] > 100).length / canvas.width;
    }"""
    opened.until(f"({filled})() > 0.1")
    lanes = opened.page.locator("#lanes")
    box = lanes.bounding_box()
    lanes.hover(position={"x": box["width"] * (1 - 8 / 120), "y": 20})
    opened.until("document.querySelector('#peek-image').naturalWidth === 640")
    assert re.match(r"0:\d\d\.\d\s+·\s+\d+ s ago", opened.page.locator("#peek-time").inner_text())
    lanes.hover(position={"x": 5, "y": 20})
    opened.page.wait_for_selector("#peek-gone", state="visible")
    opened.wrong = [text for text in opened.wrong if "404" not in text]  # a picture that is gone
    opened.page.mouse.move(10, 10)
    opened.page.wait_for_selector("#peek", state="hidden")
    lanes.focus()
    opened.page.keyboard.press("ArrowLeft")
    opened.page.wait_for_selector("#peek", state="visible")


def test_other_words_are_sent_and_shown(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').at(-1)?.tracks.some((track) => track.id === 1)", 20)
    opened.page.keyboard.press("v")
    opened.page.keyboard.type("wind chime")
    began = time.monotonic()
    opened.page.keyboard.press("Enter")
    opened.until("document.querySelector('#now').innerText.includes('wind chime')")
    took = time.monotonic() - began
    print(f"a new word is drawn after {took:.2f} s")
    assert took < 2.5
    asked = [message for message in stand_in.asked if message["type"] == "vocabulary.set"]
    assert [message["words"] for message in asked] == [[*WORDS, "wind chime"]]
    assert opened.page.locator("#words-list li").last.locator(".word-name").inner_text() == "wind chime"
    opened.page.get_by_role("button", name="Remove dog").click()
    opened.until("document.querySelector('#words-count').textContent === '5'")
    assert stand_in.words == [word for word in [*WORDS, "wind chime"] if word != "dog"]
    opened.page.get_by_role("button", name="AVSBench-OV (70)").click()
    opened.until("document.querySelector('#words-count').textContent === '70'")
    opened.page.get_by_role("button", name="Back to the list before").click()
    opened.until("document.querySelector('#words-count').textContent === '5'")


def test_a_list_is_pasted_and_refusals_are_told(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("document.querySelector('#words-count').textContent === '5'")
    opened.page.get_by_role("button", name="Edit list").click()
    opened.page.locator("#words-text").fill("\n".join(f"word {number}" for number in range(700)))
    opened.page.get_by_role("button", name="Use these words").click()
    opened.until("document.querySelector('#words-count').textContent === '700'")
    assert opened.page.locator("#words-more").inner_text() == "and 400 more: edit the list to see them"
    stand_in.refuse_words = "the model is being started again"
    opened.page.locator("#words-input").fill("rain")
    opened.page.locator("#words-input").press("Enter")
    opened.until("document.querySelector('#words-say').innerText.includes('being started again')")
    assert len(stand_in.words) == 700


def test_how_often_a_word_was_seen_is_shown(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("document.querySelector('#words-list li:last-child .word-count').textContent !== ''")
    shown = opened.page.locator("#words-list li").last.locator(".word-count").inner_text()
    assert 0 < int(shown) <= stand_in.seen[WORDS[-1]]


def test_banners_come_and_go(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').length > 10")
    stand_in.down["model"] = "was killed by SIGKILL"
    banner = opened.page.locator(".banner[data-level=bad]")
    banner.wait_for(state="visible")
    assert banner.inner_text() == "The model was killed by SIGKILL. It is being started again."
    height = opened.page.locator(".tile-canvas").bounding_box()
    stand_in.down.clear()
    opened.page.locator(".banner[data-level=good]").wait_for(state="visible")
    assert opened.page.locator(".banner").inner_text() == "The model is back."
    assert opened.page.locator(".tile-canvas").bounding_box() == height, "nothing moves"
    stand_in.lost.add("front")
    banner.wait_for(state="visible")
    assert banner.inner_text() == "front is lost: the camera does not answer. It is tried again."
    assert opened.page.locator(".tile").get_attribute("data-state") == "lost"
    stand_in.lost.clear()
    opened.until("document.querySelector('.banner[data-level=good]')?.innerText === 'front is back.'")
    before = opened.state("sources.front.t_s")
    opened.until(
        f"window.ovavss.sources.front.t_s > {before} && window.ovavss.sources.front.generation === 1"
    )
    opened.page.locator(".banner").first.wait_for(state="detached", timeout=10_000)


def test_a_lost_connection_is_told_and_found_again(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').length > 10")
    stand_in.refuse_connections = True
    stand_in.call(stand_in.close_sockets())
    opened.until("document.querySelector('.banner')?.innerText.includes('has lost the pipeline')")
    assert opened.page.locator("#run-text").inner_text() in ("no connection", "connecting")
    opened.until("/again in [3-9] s/.test(document.querySelector('.banner')?.innerText)")
    stand_in.refuse_connections = False
    opened.page.get_by_role("button", name="Try now").click()
    opened.until("document.querySelector('.banner')?.innerText.includes('found the pipeline again')", 20)
    count = len(opened.frames("front"))
    opened.until(f"window.ovavss.frames('front').length > {count + 20}")
    opened.wrong = [text for text in opened.wrong if "WebSocket" not in text]  # the browser's own words


def test_another_run_at_the_same_address_begins_anew(serve: Any, visit: Any) -> None:
    stand_in = serve({"front": Discs(smooth)}, began_s=300)
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').length > 10")
    stand_in.begin_again()
    stand_in.call(stand_in.close_sockets())
    opened.until(
        "window.ovavss.sources.front?.t_s < 100 && window.ovavss.sources.front.tracks.length > 0", 25
    )
    opened.wrong = [text for text in opened.wrong if "WebSocket" not in text]


def test_the_end_of_a_run_is_told(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.state.connection === 'open'")
    stand_in.call(stand_in.tell_ended("the recording is over"))
    opened.until(f"{BANNER}?.startsWith('The run is over: the recording is over. What was seen stays')")
    assert opened.page.locator("#run-text").inner_text() == "ended"
    assert opened.page.locator(".tile-state").inner_text() == "ended"
    opened.until("document.querySelector('#now').innerText === 'The run is over'")


def test_what_was_seen_stays_when_the_run_is_over_and_nobody_is_looked_for(
    stand_in: StandIn, visit: Any
) -> None:
    """Until somebody asks for it, once."""
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').length > 60")
    stand_in.call(stand_in.tell_ended("the recording is over"))
    stand_in.refuse_connections = True
    stand_in.call(stand_in.close_sockets())
    opened.until("window.ovavss.state.connection === 'over'")
    came = len(stand_in.clients)
    opened.page.wait_for_timeout(3000)  # a page that was left without a word would have come twice
    assert (opened.state("state.connection"), came) == ("over", 0)
    assert opened.wrong == []
    lanes = opened.page.locator("#lanes").bounding_box()
    opened.page.mouse.move(lanes["x"] + lanes["width"] * (1 - 1 / 120), lanes["y"] + 20)
    opened.until("document.querySelector('#peek-image').naturalWidth === 640")
    opened.page.keyboard.press("c")
    opened.until("[...document.querySelectorAll('.banner')].some((one) => /no clip: /.test(one.innerText))")
    assert opened.wrong == []
    opened.page.get_by_role("button", name="Look again").click()
    opened.until(f"{BANNER}?.includes('There is no other one at this address yet.')")
    stand_in.refuse_connections = False
    opened.page.get_by_role("button", name="Look again").click()
    opened.until("window.ovavss.state.connection === 'open' && !window.ovavss.state.ended")
    opened.page.locator(".banner[data-key=ended]").wait_for(state="detached", timeout=5000)
    opened.wrong = [text for text in opened.wrong if "WebSocket" not in text]  # the browser's own words


def test_a_run_that_is_played_again_is_shown_as_that(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').length > 10")
    stand_in.call(stand_in.play_again("every source has ended", 20.0))
    told = "The run is over: every source has ended. Its last 20 s are played again."
    opened.until(f"{BANNER} === {json.dumps(told)}")
    opened.until("document.querySelector('#run-text').innerText === 'played again'")
    opened.until("document.querySelector('.tile-state').innerText === 'played again'")
    count = len(opened.frames("front"))
    opened.until(f"window.ovavss.frames('front').length > {count + 20}")
    opened.until("/drum|ball/.test(document.querySelector('#now').innerText)", 20)


def test_two_sources_stand_side_by_side(serve: Any, visit: Any) -> None:
    scenes = {"front": Discs(smooth), "back": Discs(bounce, seed=2)}
    stand_in = serve(scenes)
    opened = visit(stand_in)
    opened.until("['front', 'back'].every((id) => window.ovavss.frames(id).length > 20)")
    assert opened.state("state.mode") == "grid"
    assert opened.page.locator(".tile").count() == 2
    opened.until(
        "document.querySelector('[data-source=back] .figure-latency dd').innerText === '182 / 291 ms'"
    )
    assert "7 dropped" in opened.page.locator("[data-source=back] .figure-lost dd").inner_text()
    assert opened.page.locator("[data-source=back] .figure-rate dd").inner_text() == "25.0 fps"
    opened.page.get_by_role("button", name="Enlarge back").click()
    opened.until("window.ovavss.state.focus === 'back' && window.ovavss.state.mode === 'one'")
    opened.until("document.querySelector('[data-source=front] .tile-still').naturalWidth === 640")
    wide = {name: opened.page.locator(f"[data-source={name}]").bounding_box()["width"] for name in scenes}
    assert wide["back"] > 2 * wide["front"]
    watched = [message for message in stand_in.asked if message["type"] == "watch"]
    assert watched[-1]["sources"] == ["back"]
    assert watched[-1]["max_fps"] >= 25
    opened.page.keyboard.press("Escape")
    opened.until("window.ovavss.state.mode === 'grid'")


def test_html_in_a_label_is_text(stand_in: StandIn, visit: Any) -> None:
    stand_in.hostile = True
    opened = visit(stand_in)
    opened.until(f"document.querySelector('#now').innerText.includes({json.dumps(HOSTILE)})", 20)
    opened.page.locator("#words-input").fill(HOSTILE)
    opened.page.locator("#words-input").press("Enter")
    opened.until(f"document.querySelector('#words-list').innerText.includes({json.dumps(HOSTILE)})")
    opened.until(f"document.querySelector('#names').innerText.includes({json.dumps(HOSTILE)})")
    assert opened.page.locator("img[src=x]").count() == 0
    assert {track["label"] for track in opened.frames("front")[-1]["tracks"]} <= {HOSTILE}


def test_keys_do_what_the_help_says(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').length > 30")
    press = opened.page.keyboard.press
    press("?")
    opened.page.wait_for_selector("#help-sheet[open]")
    press("Escape")
    opened.page.wait_for_selector("#help-sheet", state="hidden")
    press(" ")
    opened.until("window.ovavss.state.paused")
    opened.page.wait_for_timeout(300)
    still = opened.state("sources.front.t_s")
    opened.page.wait_for_timeout(700)
    assert opened.state("sources.front.t_s") == still
    press(" ")
    opened.until(f"window.ovavss.sources.front.t_s > {still + 1}")
    press("]")
    press("]")
    press("[")
    assert opened.state("state.settings.threshold") == 0.05
    press("-")
    assert opened.state("state.settings.opacity") == 0.32
    press("a")
    assert opened.state("state.settings.all") is True
    opened.until(
        "window.ovavss.frames('front').some(({ tracks }) => tracks.some(({ silent }) => silent))", 20
    )
    press("t")
    assert opened.page.locator("html").get_attribute("data-theme") == "light"
    press("f")
    opened.until("document.body.dataset.wall === 'true'")
    press("f")
    opened.until("document.body.dataset.wall === 'false'")
    press("v")
    opened.page.keyboard.type("a [")
    assert opened.page.locator("#words-input").input_value() == "a [", "what is typed into a field is no key"
    assert opened.state("state.settings.all") is True


def test_the_threshold_takes_out_what_sounds_less_surely(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').some(({ tracks }) => tracks.some(({ id }) => id === 4))", 20)
    opened.page.locator("#threshold").fill("90")
    count = len(opened.frames("front"))
    opened.until(f"window.ovavss.frames('front').length > {count + 60}", 20)
    assert {track["id"] for frame in opened.frames("front")[count + 2 :] for track in frame["tracks"]} <= {1}


def test_a_snapshot_is_a_picture_and_its_answer(stand_in: StandIn, visit: Any, tmp_path: Path) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').at(-1)?.tracks.length > 0", 20)
    for _ in range(5):
        picture, answer = _snapshot(opened, tmp_path)
        if answer["result"] is not None:  # a moment whose own result is late has none
            break
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert answer["source"] == "front"
    assert answer["drawn"]
    assert answer["result"]["tracks"][0]["mask"]


def _snapshot(opened: Any, folder: Path) -> tuple[bytes, dict[str, Any]]:
    """What both files hold that the key saves."""
    saved: list[Any] = []

    def keep(one: Any) -> None:
        saved.append(one)

    opened.page.on("download", keep)
    opened.page.keyboard.press("s")
    deadline = time.monotonic() + 10
    while len(saved) < 2 and time.monotonic() < deadline:
        opened.page.wait_for_timeout(100)
    opened.page.remove_listener("download", keep)
    files = {Path(one.suggested_filename).suffix: folder / one.suggested_filename for one in saved}
    for one in saved:
        one.save_as(folder / one.suggested_filename)
    return files[".png"].read_bytes(), json.loads(files[".json"].read_text(encoding="utf-8"))


def test_a_clip_is_saved(stand_in: StandIn, visit: Any, tmp_path: Path) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').length > 10")
    with opened.page.expect_download() as waiting:
        opened.page.get_by_role("button", name="Clip").click()
    waiting.value.save_as(tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == b"a film of front"
    assert waiting.value.suggested_filename.endswith(".mp4")


def test_the_sound_is_asked_for_and_played(stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in)
    opened.until("window.ovavss.frames('front').length > 30")
    assert stand_in.asked[-1]["sound"] is None
    opened.page.get_by_role("button", name="Sound").click()
    opened.until("window.ovavss.state.sound")
    assert opened.page.locator("#sound").get_attribute("aria-pressed") == "true"
    opened.until("window.ovavss.state.heard_s > 1", 20)
    assert stand_in.asked[-1]["sound"] == "front"
    opened.page.keyboard.press("m")
    opened.until("!window.ovavss.state.sound")
    assert stand_in.asked[-1]["sound"] is None


def test_a_token_is_asked_for(serve: Any, visit: Any) -> None:
    stand_in = serve(token="open sesame")
    opened = visit(stand_in)
    opened.page.wait_for_selector("#token")
    assert "asks for a token" in opened.page.locator("#token-say").inner_text()
    opened.page.locator("#token").fill("wrong")
    opened.page.keyboard.press("Enter")
    opened.until("document.querySelector('#token-say').innerText.includes('not right')")
    opened.page.locator("#token").fill("open sesame")
    opened.page.keyboard.press("Enter")
    opened.until("window.ovavss?.frames('front').length > 5", 20)
    assert "token" not in opened.page.url
    opened.wrong = [text for text in opened.wrong if "401" not in text]


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize(
    "size", [WIDE, PHONE, {"width": 1920, "height": 1080}, {"width": 800, "height": 1100}], ids=str
)
def test_nothing_is_cut_off_or_pale(size: Any, scheme: str, stand_in: StandIn, visit: Any) -> None:
    opened = visit(stand_in, viewport=size, color_scheme=scheme)
    opened.until("window.ovavss.frames('front').length > 5")
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.page.evaluate(CONTRAST) == []
    assert opened.page.evaluate(NAMELESS) == []


# Texts whose contrast to what lies behind them is below WCAG AA.
CONTRAST = """() => {
    const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = (colour) => {
        probe.clearRect(0, 0, 1, 1);
        probe.fillStyle = colour;
        probe.fillRect(0, 0, 1, 1);
        return [...probe.getImageData(0, 0, 1, 1).data];
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            if (colour[3] > 250) return colour;
        }
        return [0, 0, 0, 255];
    };
    const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
        .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
        .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
    const pale = [];
    for (const element of document.querySelectorAll('body *')) {
        const text = [...element.childNodes].filter((node) => node.nodeType === 3)
            .map((node) => node.data.trim()).join('');
        if (!text || !element.checkVisibility() || element.closest('[hidden], svg, noscript')) continue;
        const style = getComputedStyle(element);
        const [a, b] = [light(rgba(style.color)), light(behind(element))].sort((one, two) => two - one);
        const contrast = (a + 0.05) / (b + 0.05);
        const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
        if (contrast < least) pale.push(`${text}: ${contrast.toFixed(2)}`);
    }
    return pale;
}"""

# What can be pressed or filled in and has no name for whoever does not see it.
NAMELESS = """() => [...document.querySelectorAll('button, input, textarea, canvas, img, [role=meter]')]
    .filter((element) => element.checkVisibility())
    .filter((element) => !(element.getAttribute('aria-label') || element.textContent.trim() ||
        element.title || element.labels?.length || element.getAttribute('aria-hidden') || element.alt === ''))
    .map((element) => element.outerHTML.slice(0, 80))"""
