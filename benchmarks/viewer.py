"""The live page over the real pipeline: do masks stay on what moves, what do many viewers cost, how soon do
other words show.

    python -m benchmarks.viewer --write docs/viewer.md

The bundled model runs at real-time pace, and Chromium shows the page.

- masks: clips of the generated world in which a dog barks all the time and crosses the picture. The centre
  of every mask that is drawn is compared with that of the pixels that truly show the dog then. For
  comparison, where that dog was in the picture that the model looked at.
- viewers: latency of the results while nobody watches and while twenty do, in turn within one run. The
  viewers take every picture and the sound, and draw nothing: what drawing costs is their machines'.
- words: from Enter in the vocabulary box until the picture shows the new name.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import document
from benchmarks.clip import write_clip
from benchmarks.soak import looped
from model.errors import ModelError
from model.world.art import Art
from model.world.clip import soundtrack
from model.world.layout import write_film
from model.world.motion import Path as Course
from model.world.paint import FPS, Painter
from model.world.scene import Scene
from streaming.errors import UserError
from streaming.results import read_results
from tests.viewer.browser import CHROMIUM, Visit
from tests.viewer.live import Live
from tools import make_demo_clip

SOURCE = "bench"
NAME = "dog"
SPEEDS = (0.0, 0.05, 0.1, 0.2)  # of the picture's width, a second
SECONDS = 30
VIEWERS = 20
PHASE_S, SETTLE_S = 30.0, 4.0
PAIRS = 4
WORDS_WITHOUT, TRIES = ("wolf", "drum", "violin"), 8
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Trail:
    """How far drawn masks are from the dog, at one speed, in parts of the picture's width."""

    speed: float
    frames: int
    drawn: int
    off: NDArray[np.float64]
    unfollowed: NDArray[np.float64]


@dataclass(frozen=True)
class Crowd:
    """Latency of results (ms) while so many watch; pictures that each viewer had in a second."""

    none_ms: list[float]
    all_ms: list[float]
    fps: list[float]

    @property
    def change(self) -> float:
        return median(self.all_ms) / median(self.none_ms) - 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="a document whose part is replaced")
    parser.add_argument("--only", choices=tuple(PARTS), help="only this part, and write nothing")
    args = parser.parse_args(arguments)
    try:
        if not CHROMIUM:
            raise UserError("found no chromium; install it: apt install chromium")
        if args.write is not None:
            document.check(args.write, "viewer")
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix="ovavss-viewer-") as folder:
            lines = list(_measured(Path(folder), args.only))
        head = (
            f"{datetime.now():%Y-%m-%d}, {document.processor()}, {os.cpu_count()} cores, load before "
            f"{load:.1f}, Chromium without a GPU on the same machine."
        )
        if args.write is not None and args.only is None:
            document.write(args.write, "viewer", [head, "", *lines])
    except (UserError, ModelError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _measured(folder: Path, only: str | None) -> Iterator[str]:
    """The lines of the document, each part printed when it is known."""
    for name, part in PARTS.items():
        if only in (None, name):
            told = part(folder)
            print("\n".join(told), flush=True)
            yield from told


# Masks ---------------------------------------------------------------------------------------------------


def masks_told(folder: Path) -> list[str]:
    trails = [trail(folder, speed) for speed in SPEEDS]
    rows = [
        f"| {one.speed:.0%} | {one.drawn} of {one.frames} | {np.median(one.off):.1%} | "
        f"{np.quantile(one.off, 0.95):.1%} | {one.off.max():.1%} | {(one.off <= 0.05).mean():.1%} | "
        f"{np.median(one.unfollowed):.1%} | {one.unfollowed.max():.1%} |"
        for one in trails
    ]
    return [
        "Distance of a drawn mask's centre from that of the object, in parts of the picture's width; one "
        f"result a second, {SECONDS} s at each speed. On the right, had it stayed where the model saw it:",
        "",
        "| moves, of the width a second | pictures with the mask | median | 95 % | most | within 5 % "
        "| unfollowed, median | unfollowed, most |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def trail(folder: Path, speed: float) -> Trail:
    """Shows the moving dog, and looks at where its mask was drawn in every picture."""
    scene = moving(speed)
    centres = true_centres(scene)
    film = write_film(scene, soundtrack(scene), Art(), folder / f"{speed}")
    with (
        live(folder / f"masks-{speed}", f"source.uri={film}", "viewer.linger_s=5") as run,
        browser() as chrome,
    ):
        opened = Visit(chrome, run.url)
        opened.until(f"(window.ovavss.frames('{SOURCE}').at(-1)?.t_s ?? 0) > {SECONDS - 1.2}", PATIENCE_S)
        frames = [frame for frame in opened.frames(SOURCE) if frame["generation"] == 0]
        opened.context.close()
    off, unfollowed, drawn = [], [], 0
    for frame in frames:
        now = min(len(centres) - 1, round(frame["t_s"] * FPS))
        seen = min(len(centres) - 1, (int(now / FPS) + 1) * FPS - 1)  # the last picture of its snippet
        width = frame["width"]
        masks = [one["centre"] for one in frame["tracks"] if not (one["candidate"] or one["silent"])]
        drawn += bool(masks)
        off += [float(np.hypot(*(np.array(middle) / width - centres[now]))) for middle in masks]
        before = centres[max(0, seen - FPS)]  # all there is while the snippet lasts
        unfollowed += [float(np.hypot(*(before - centres[now])))] * len(masks)
    if not off:
        raise UserError("no mask was drawn: nothing can be said of where they are")
    return Trail(speed, len(frames), drawn, np.array(off), np.array(unfollowed))


def moving(speed: float) -> Scene:
    """The demonstration clip's meadow; the dog goes to and fro and barks, the sunflower is silent."""
    plan = make_demo_clip.scene()
    things = {thing.name: thing for thing in plan.things}
    dog, sunflower = things[NAME], things["sunflower"]
    course: Course = replace(dog.path, x=0.2, y=0.72, vx=speed, size=0.34)
    there = replace(sunflower.path, y=0.25, size=0.26)
    sounding = np.ones((1, SECONDS), np.bool_)
    return replace(
        plan,
        options=replace(plan.options, seconds=SECONDS),
        things=(replace(sunflower, path=there), replace(dog, path=course)),
        turns=replace(plan.turns, sounding=sounding, offscreen=np.zeros(SECONDS, np.bool_)),
    )


def true_centres(scene: Scene) -> NDArray[np.float64]:
    """Of the pixels that show the dog, in every picture; (pictures, 2), x and y in parts of the width."""
    painter, place = Painter(scene, Art()), [thing.name for thing in scene.things].index(NAME)
    centres = []
    for number in range(scene.options.seconds * FPS):
        y, x = painter.frame(number)[1][place].nonzero()
        centres.append(((x.mean() + 0.5), (y.mean() + 0.5)))
    return np.array(centres) / scene.options.side


# Viewers -------------------------------------------------------------------------------------------------


def viewers_told(folder: Path) -> list[str]:
    one = crowd(folder)
    none_95_ms, all_95_ms = (np.quantile(latencies, 0.95) for latencies in (one.none_ms, one.all_ms))
    return [
        f"Latency of the results, {PAIRS} times {PHASE_S:.0f} s each in turn, two results a second; the "
        "viewers run on the same cores, at the lowest priority:",
        "",
        "| watching | results | median | 95 % | pictures a second and viewer |",
        "|---|---|---|---|---|",
        f"| nobody | {len(one.none_ms)} | {median(one.none_ms):.0f} ms | {none_95_ms:.0f} ms | |",
        f"| {VIEWERS} | {len(one.all_ms)} | {median(one.all_ms):.0f} ms ({one.change:+.1%}) | "
        f"{all_95_ms:.0f} ms | {min(one.fps):.1f} to {max(one.fps):.1f} |",
        "",
    ]


def crowd(folder: Path) -> Crowd:
    """Counts the latency of results while nobody watches, and while all do."""
    clip = folder / "minutes.mp4"
    write_clip(clip, round(2 * PAIRS * PHASE_S + 60), 400, 400)
    out = folder / "viewers"
    phases: list[tuple[bool, float, float]] = []
    fps: list[float] = []
    with live(out, f"source.uri={clip}", "source.hop_s=0.5") as run:
        time.sleep(15)  # the window fills, and torch has seen every shape
        for watched in [False, True] * PAIRS:
            if watched:
                with watching(run.url) as counts:
                    phases.append(_phase(watched))
                fps += counts()
            else:
                phases.append(_phase(watched))
    latencies: dict[bool, list[float]] = {False: [], True: []}
    for line in read_results(out / "results.jsonl"):
        at_s = datetime.fromisoformat(line["wall_time"]).timestamp()
        for watched, begun_s, ended_s in phases:
            if begun_s <= at_s < ended_s:
                latencies[watched].append(line["latency_ms"])
    return Crowd(latencies[False], latencies[True], fps)


def _phase(watched: bool) -> tuple[bool, float, float]:
    time.sleep(SETTLE_S)
    begun_s = time.time()
    time.sleep(PHASE_S)
    return watched, begun_s, time.time()


@contextmanager
def watching(url: str) -> Iterator[Any]:
    """Viewers in a process of their own; afterwards, how many pictures a second each had."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_watch_all, args=(url, there), daemon=True)
    process.start()
    rates: list[float] = []
    try:
        if not here.poll(PATIENCE_S) or here.recv() != VIEWERS:
            raise UserError("the viewers could not be connected")
        yield lambda: rates
        here.send("enough")
        rates += here.recv()
    finally:
        process.terminate()
        process.join()


def _watch_all(url: str, pipe: Any) -> None:
    os.nice(19)
    asyncio.run(_watch(url, pipe))


async def _watch(url: str, pipe: Any) -> None:
    import aiohttp

    counts = [0] * VIEWERS
    async with aiohttp.ClientSession() as session:
        lines = [
            await session.ws_connect(
                url.replace("http", "ws", 1) + "ws", headers={"Origin": url.rstrip("/")}, max_msg_size=0
            )
            for _ in range(VIEWERS)
        ]
        for line in lines:
            await line.send_json({"type": "watch", "sources": [SOURCE], "max_fps": 30, "sound": SOURCE})

        async def take(number: int) -> None:
            async for frame in lines[number]:
                if frame.type is aiohttp.WSMsgType.BINARY and frame.data[0] == 1:
                    counts[number] += 1

        tasks = [asyncio.create_task(take(number)) for number in range(VIEWERS)]
        pipe.send(len(lines))
        await asyncio.sleep(SETTLE_S)
        counts[:] = [0] * VIEWERS
        begun_s = time.monotonic()
        while not pipe.poll():
            await asyncio.sleep(0.1)
        pipe.send([count / (time.monotonic() - begun_s) for count in counts])
        for task in tasks:
            task.cancel()


# Words ---------------------------------------------------------------------------------------------------

TIMER = """([source, word]) => {
    window.took_ms = null;
    const shown = () => window.ovavss.frames(source).at(-1)?.tracks.some((track) => track.label === word);
    addEventListener('keydown', (event) => {
        if (event.key !== 'Enter') return;
        const begun_ms = performance.now();
        const look = () => {
            if (shown()) window.took_ms = performance.now() - begun_ms;
            else requestAnimationFrame(look);
        };
        look();
    }, { capture: true, once: true });
}"""


def words_told(folder: Path) -> list[str]:
    took_s = sorted(words(folder))
    return [
        f"From Enter in the vocabulary box until the picture shows the new name, {len(took_s)} times, one "
        f"result a second: median {median(took_s):.2f} s, at most {took_s[-1]:.2f} s.",
    ]


def words(folder: Path) -> list[float]:
    """Types the name of what sounds, which was not among the words; seconds until it is drawn."""
    scene = moving(0.02)
    film = write_film(scene, soundtrack(scene), Art(), folder / "words")
    clip = looped(film, folder / "long.mp4", TRIES * SECONDS)
    took_s = []
    without = f"vocabulary.words={','.join(WORDS_WITHOUT)}"
    with live(folder / "words-run", f"source.uri={clip}", without) as run, browser() as chrome:
        opened = Visit(chrome, run.url)
        labels = f"window.ovavss.frames('{SOURCE}').at(-1)?.tracks.map((one) => one.label)"
        for _ in range(TRIES):
            opened.until(f"{labels}?.length && !{labels}.includes('{NAME}')", PATIENCE_S)
            opened.page.wait_for_timeout(1370)  # not always at the same place of a hop
            opened.page.evaluate(TIMER, [SOURCE, NAME])
            opened.page.locator("#words-input").fill(NAME)
            opened.page.locator("#words-input").press("Enter")
            opened.until("window.took_ms !== null", PATIENCE_S)
            took_s.append(opened.page.evaluate("window.took_ms") / 1e3)
            opened.page.get_by_role("button", name=f"Remove {NAME}").click()
        opened.context.close()
    return took_s


# The run and the browser ---------------------------------------------------------------------------------


@contextmanager
def live(out: Path, *settings: str) -> Iterator[Live]:
    run = Live(out, f"source.id={SOURCE}", *settings)
    try:
        yield run
    finally:
        run.stop()


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--mute-audio"])
        yield launched
        launched.close()


PARTS = {"masks": masks_told, "viewers": viewers_told, "words": words_told}

if __name__ == "__main__":
    sys.exit(main())
