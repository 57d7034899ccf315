"""The page in a real browser, and the real pipeline behind it: every process, the bundled model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.clip import write_clip
from tests.viewer.browser import Visit, needs_browser
from tests.viewer.live import ENOUGH_S, Live
from tests.viewer.stand_in import HOSTILE
from tools.make_demo_clip import CLIP, SECONDS, truth

pytestmark = [pytest.mark.slow, needs_browser]
TOKEN = "0123456789abcdef0123"
NOW = "document.querySelector('#now').innerText"
GRAB = """() => {
    const small = new OffscreenCanvas(64, 64).getContext('2d');
    small.drawImage(document.querySelector('.tile-canvas'), 0, 0, 64, 64);
    return [...small.getImageData(0, 0, 64, 64).data];
}"""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[..., Live]]:
    runs: list[Live] = []

    def begin(*more: str) -> Live:
        runs.append(Live(tmp_path, *more))
        return runs[-1]

    yield begin
    for one in runs:
        one.stop()


def grabs(opened: Visit, count: int) -> list[list[int]]:
    """The picture, a few times in a second."""
    found = []
    for _ in range(count):
        found.append(opened.page.evaluate(GRAB))
        opened.page.wait_for_timeout(250)
    return found


def test_the_demo_is_seen_heard_and_named_and_then_played_again(
    live: Callable[..., Live], visit: Callable[..., Visit]
) -> None:
    run = live(f"source.uri={CLIP}", "source.id=demo", "viewer.linger_s=1")
    opened = visit(run)
    opened.until("window.ovavss.frames('demo').length > 25", ENOUGH_S)
    opened.page.keyboard.press("a")
    first, *others = grabs(opened, 5)
    assert any(other != first for other in others), "the picture stands still"
    opened.until("window.ovavss.frames('demo').at(-1).t_s > 18.9", ENOUGH_S)
    frames = [frame for frame in opened.frames("demo") if frame["generation"] == 0]

    # Drawn is what sounds, at its place, in every picture whose own result was there in time.
    told = truth()
    right = near = masks = 0
    own = [frame for frame in frames if frame["seq"] == int(frame["t_s"])]
    for frame in own:
        second = told[min(SECONDS - 1, int(frame["t_s"]))]
        heard = [track for track in frame["tracks"] if not track["candidate"]]
        right += {track["label"] for track in heard} == set(second.sounding)
        for track in heard:
            if track["label"] in second.sounding:
                masks += 1
                x, y = second.middles[track["label"]]
                across, down = track["centre"]
                near += abs(across - x) < 30 and abs(down - y) < 30
    print(f"{len(frames)} pictures, {right} of {len(own)} named right; {near} of {masks} masks in place")
    assert len(own) > 0.5 * len(frames)
    assert right > 0.95 * len(own)
    assert masks > 0.3 * len(own)
    assert near > 0.95 * masks
    assert any(frame["offscreen"] for frame in frames)

    # Whatever is silent is outlined without a name, the sunflower always.
    x, y = told[0].middles["sunflower"]
    silent = [[one["centre"] for one in frame["tracks"] if one["candidate"]] for frame in own]
    silent = [centres for centres in silent if centres]
    assert len(silent) > 0.5 * len(own)
    assert all(any(abs(cx - x) < 30 and abs(cy - y) < 30 for cx, cy in centres) for centres in silent)

    opened.until("document.querySelectorAll('#names li').length >= 4")
    names = set(opened.page.locator("#names li").all_inner_texts())
    assert {"dog", "violin", "drum", "wolf"} <= names
    assert "sunflower" not in names

    opened.until("window.ovavss.state.again", ENOUGH_S)
    opened.until(
        "window.ovavss.frames('demo').some((one) => one.generation === 1 && one.tracks.length)", ENOUGH_S
    )
    lanes = opened.page.locator("#lanes")
    lanes.hover(position={"x": lanes.bounding_box()["width"] * (1 - 8 / 120), "y": 20})
    opened.until("document.querySelector('#peek-image').naturalWidth === 400")
    assert opened.wrong == []
    opened.context.close()
    assert run.has_ended(ENOUGH_S), "nobody watches any more"


def test_two_sources_other_words_a_death_and_the_end(
    live: Callable[..., Live], visit: Callable[..., Visit], tmp_path: Path
) -> None:
    """Behind a token."""
    clip = tmp_path / "minutes.mp4"
    write_clip(clip, 120, 240, 240)
    sources = f"sources=[{{id: front, uri: {clip}}}, {{id: back, uri: {clip}}}]"
    run = live(sources, f"viewer.token={TOKEN}")

    stranger = visit(SimpleNamespace(url=run.base))
    stranger.page.wait_for_selector("#token")
    for path in ("status", "frame?source=front&generation=0&t_s=1", "clip?source=front", "ws"):
        assert stranger.context.request.get(run.base + path).status == 401, path
    stranger.wrong = [text for text in stranger.wrong if "401" not in text]
    stranger.context.close()

    opened = visit(run)
    opened.until("['front', 'back'].every((id) => window.ovavss.frames(id).length > 10)", ENOUGH_S)
    assert opened.state("state.mode") == "grid"
    assert "token" not in opened.page.url
    opened.until("['front', 'back'].every((id) => window.ovavss.sources[id].tracks.length > 0)", ENOUGH_S)

    opened.page.get_by_role("button", name="Edit list").click()
    opened.page.locator("#words-text").fill(HOSTILE)
    began = time.monotonic()
    opened.page.get_by_role("button", name="Use these words").click()
    opened.until(f"{NOW}.includes({HOSTILE!r})", ENOUGH_S)
    print(f"other words are shown after {time.monotonic() - began:.2f} s")
    opened.until(f"document.querySelector('#words-list').innerText.includes({HOSTILE!r})")
    assert opened.page.locator("img[src=x]").count() == 0

    run.kill("model")
    told = "[...document.querySelectorAll('.banner')].map((one) => one.innerText).join()"
    opened.until(f"{told}.includes('The model was killed by SIGKILL. It is being started again.')")
    opened.until(f"{told}.includes('The model is back.')", ENOUGH_S)
    died_s = opened.state("sources.front.t_s")
    opened.until(
        f"window.ovavss.sources.front.t_s > {died_s} + 1 && window.ovavss.sources.front.tracks.length > 0",
        ENOUGH_S,
    )
    run.stop()
    opened.until("window.ovavss.state.ended && window.ovavss.state.connection === 'over'")
