"""The page's server, with viewers that come over the network as browsers do."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy as np
import pytest

from streaming.errors import UserError
from streaming.messages import Preview
from streaming.viewer import client as clients
from streaming.viewer import server as serving
from streaming.viewer.files import PAGE, read_page
from streaming.viewer.guard import HEADERS, Guard
from streaming.viewer.place import Place, tls_of
from streaming.viewer.wire import MAX_CLIENT_BYTES
from tests.certificates import make_certificate, needs_openssl
from tests.nodes.samples import NS, preview, result
from tests.pipeline import wait_for
from tests.streaming.test_annotated_video import jpeg
from tests.viewers import TOLD, Served, joins, played

TOKEN = "0123456789abcdef0123"
HOSTILE = '<img src=x onerror=alert(1)> </script>\N{LINE SEPARATOR}"\\'


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.server.end("the test is over")


def hop(seq: int, source: str = "cam", pictures: int = 4, side: int = 96) -> Preview:
    """A second with a tone."""
    t_s = np.arange(8000) / 8000
    tone = (16_384 * np.sin(2 * np.pi * 1000 * t_s)).astype(np.int16)
    jpegs = [jpeg(side, side, grey=20 * index) for index in range(pictures)]
    return preview(seq, jpegs, source=source, audio=tone[:, None], frame_size=(side, side))


# What a viewer hears --------------------------------------------------------------------------------------


def test_a_viewer_is_told_what_there_is_and_what_it_missed(served: Served) -> None:
    served.server.take(result(3, [1]))
    served.server.take(result(4, gap=True))

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, served.base)
            first, second = [json.loads((await page.line.receive()).data) for _ in range(2)]
            assert first == {
                "type": "hello", "v": 1, "sources": [{"id": "cam", "number": 0}], "hop_s": 1.0,
                "window_s": 1.0, "vocabulary": {"revision": 1, "words": ["dog", "cat"]},
                "presets": [{"name": "few", "words": ["owl"]}], "model": "tiny", "notice": "",
            }  # fmt: skip
            about = {
                "dur_s": 1.0,
                "offscreen": False,
                "offscreen_text": None,
                "audio_dbfs": -20.0,
                "generation": 0,
            }
            dog = {"id": 1, "label": "dog", "sounding": 0.8}
            assert second == {
                "type": "history",
                "source": "cam",
                "hops": [
                    {"seq": 3, "t_s": 3.0, "tracks": [dog], "gap": False, **about},
                    {"seq": 4, "t_s": 4.0, "tracks": [], "gap": True, **about},
                ],
            }
            status = await page.hears("status", viewers=1, sources={"cam": {
                "state": "live", "reason": "", "fps": 25.0, "has_audio": True, "audio_dbfs": -30.0,
                "latency_p50_ms": 80.0, "latency_p95_ms": 110.0, "generation": 0,
                "lost": "7 dropped (the model was busy)", "results": 40,
            }})  # fmt: skip
            assert status["nodes"]["capture"] == {"state": "ready", "memory_mib": 81.5, "queue": 1}
            async with session.get(f"{served.base}status") as answer:
                assert await answer.json() == {key: status[key] for key in ("sources", "nodes", "viewers")}

    played(story())


def test_a_result_comes_with_its_masks(served: Served) -> None:
    one = result(5, [1, 2])

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, served.base)
            await page.hears("hello")
            served.server.take(one)
            told = await page.hears("result")
            assert told.pop("latency_ms") > 0
            tracks = told.pop("tracks")
            assert told == {
                "type": "result", "source": "cam", "generation": 0, "seq": 5, "t_s": 5.0, "frame_t_s": 6.0,
                "size": [48, 64], "candidates": None,
                "offscreen": False, "offscreen_text": None, "has_audio": True, "audio_dbfs": -20.0,
                "gap": False, "vocabulary_revision": 1,
            }  # fmt: skip
            assert [track["id"] for track in tracks] == [1, 2]
            assert tracks[0] == {
                "id": 1, "label": "dog", "p": 0.9, "sounding": 0.8, "box": [4, 8, 12, 16],
                "labels": [{"name": "dog", "p": 0.9}, {"name": "cat", "p": 0.1}],
                "mask": one.tracks[0]["mask"]["counts"],
            }  # fmt: skip

    played(story())


def test_pictures_come_as_they_are_and_sound_to_those_who_listen(served: Served) -> None:
    shown = hop(2)

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            deaf, hearing = await joins(session, served.base), await joins(session, served.base)
            for page in (deaf, hearing):
                await page.hears("hello")
            await hearing.says(type="watch", sources=["cam"], max_fps=30, sound="cam")
            await hearing.says(type="vocabulary.set")  # answered: so what was said before has been heard
            await hearing.hears("answer")
            served.shows(shown)
            for page in (deaf, hearing):
                pictures = [await page.hears("picture") for _ in range(4)]
                assert [one["data"] for one in pictures] == [bytes(one) for one in shown.jpegs]
                assert [one["t_s"] for one in pictures] == [2.0, 2.25, 2.5, 2.75]
                assert {(one["source"], one["generation"], one["seq"]) for one in pictures} == {(0, 0, 2)}
                mel = await page.hears("mel")
                assert (mel["bands"], mel["columns"], mel["t_s"], mel["column_s"]) == (64, 32, 2.0, 1 / 32)
                assert len(mel["data"]) == 64 * 32
            sound = await hearing.hears("sound")
            assert sound["data"] == shown.audio.tobytes()
            assert (sound["channels"], sound["rate_hz"], sound["t_s"]) == (1, 8000, 2.0)
            assert not [frame for frame in deaf.heard if frame["type"] == "sound"]

    played(story())


def test_a_page_gets_what_it_wants_to_see_and_no_more() -> None:
    served = Served("left", "right")

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, served.base)
            await page.hears("hello", sources=[{"id": "left", "number": 0}, {"id": "right", "number": 1}])
            await page.says(type="watch", sources=["right"], max_fps=2, sound=None)
            await page.says(type="vocabulary.set")
            await page.hears("answer")
            served.shows(hop(0, "left"))
            served.shows(hop(0, "right"))
            served.server.take(result(0, source="left"))
            await page.hears("result", source="left")  # answers are for everybody
            assert (await page.hears("mel"))["source"] == 0
            pictures = [await page.hears("picture") for _ in range(2)]
            assert [(one["source"], one["t_s"]) for one in pictures] == [(1, 0.0), (1, 0.5)]
            served.shows(hop(1, "right"))
            assert (await page.hears("picture"))["t_s"] == 1.0

    try:
        played(story())
    finally:
        served.server.end("")


def test_a_label_is_text_whatever_is_in_it(served: Served) -> None:
    one = result(0, [1])
    one.tracks[0]["label"] = one.tracks[0]["labels"][0]["name"] = HOSTILE

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, served.base)
            await page.hears("hello")
            served.server.take(one)
            (track,) = (await page.hears("result"))["tracks"]
            assert track["label"] == track["labels"][0]["name"] == HOSTILE
            assert (await (await joins(session, served.base)).hears("vocabulary"))["seen"] == {HOSTILE: 1}

    played(story())


def test_who_comes_late_is_shown_the_sound_of_the_last_two_minutes(served: Served) -> None:
    for seq in range(130):
        served.shows(hop(seq))

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, served.base)
            assert [(await page.hears("mel"))["t_s"] for _ in range(120)] == list(range(10, 130))
            assert [frame["type"] for frame in page.heard] == ["hello", "history"]

    played(story())


def test_a_status_comes_every_second_whether_or_not_there_is_news(served: Served) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, served.base)
            known = await page.hears("status", viewers=1)
            served.supervisor.refuses = "no answer"
            for _ in range(2):
                assert await page.hears("status") == known

    played(story())


def test_how_often_a_word_was_seen_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "SEEN_S", 0.05)
    again = Served()

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, again.base)
            again.server.take(result(0, [1, 2]))
            again.server.take(result(1, [1]))
            told = await page.hears("vocabulary", seen={"dog": 2})
            assert told["words"] == ["dog", "cat"]

    try:
        played(story())
    finally:
        again.server.end("")


# The vocabulary -------------------------------------------------------------------------------------------


def test_a_new_vocabulary_is_answered_and_everybody_hears_of_it(served: Served) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            asking, other = await joins(session, served.base), await joins(session, served.base)
            await asking.says(
                type="vocabulary.set", id=7, words=[" church  bell ", "owl", "OWL", HOSTILE[:10]]
            )
            assert await asking.hears("answer") == {"type": "answer", "id": 7, "error": None}
            for page in (asking, other):
                told = await page.hears("vocabulary", revision=2)
                assert told["words"] == ["church bell", "owl", HOSTILE[:10]]
            late = await joins(session, served.base)
            assert (await late.hears("hello"))["vocabulary"]["revision"] == 2

    played(story())


def test_one_that_the_supervisor_refuses_is_answered_with_the_reason(served: Served) -> None:
    served.supervisor.refuses = "classification is not there"

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, served.base)
            await page.says(type="vocabulary.set", id=8, words=["owl"])
            assert (await page.hears("answer", id=8))["error"] == "classification is not there"
            await page.says(type="vocabulary.set", id=9, words=["owl"])
            await page.hears("answer", id=9)

    played(story())


def test_a_vocabulary_that_somebody_else_has_set_is_told(served: Served) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, served.base)
            served.supervisor.vocabulary = {"revision": 5, "words": ["train"]}
            served.supervisor.told = {**TOLD, "classification": {"vocabulary_revision": 5}}
            assert (await page.hears("vocabulary", revision=5))["words"] == ["train"]

    played(story())


# Whatever a client sends ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ("", "found no JSON"),
        ("{" * 100_000, "found no JSON"),
        ('{"a":' * 50_000, "found no JSON"),
        ("1e999", "found inf, expected an object"),
        ("[]", "found [], expected an object"),
        ('{"type":"dance"}', 'type: found "dance", expected watch or vocabulary.set'),
        ('{"type":"watch","sources":["attic"]}', 'sources: found ["attic"], expected of cam'),
        ('{"type":"watch","sources":[["cam"]]}', "sources: found"),
        ('{"type":"watch","max_fps":0}', "max_fps: found 0, expected a number above 0 and at most 120"),
        ('{"type":"watch","max_fps":NaN}', "max_fps: found nan"),
        ('{"type":"watch","max_fps":true}', "max_fps: found true"),
        ('{"type":"watch","sound":"attic"}', 'sound: found "attic", expected of cam, or null'),
        ('{"type":"vocabulary.set","words":["a"]}', "id: found null, expected a whole number"),
        ('{"type":"vocabulary.set","id":1,"words":"dog"}', 'words: found "dog", expected a list of words'),
        ('{"type":"vocabulary.set","id":1,"words":[]}', "vocabulary: no words found"),
        ('{"type":"vocabulary.set","id":1,"words":["a\\u0000b"]}', "control character"),
        ('{"type":"vocabulary.set","id":1,"words":["\\ud800"]}', ""),
    ],
)  # fmt: skip
def test_a_frame_that_is_no_request_is_answered_and_nothing_dies(
    served: Served, frame: str, why: str
) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, served.base)
            await page.line.send_str(frame)
            answer = await page.hears("answer")
            assert why in (answer["error"] or "")
            await page.line.send_bytes(b"\x01\x02")
            assert "binary" in (await page.hears("answer"))["error"]
            served.server.take(result(0))
            await page.hears("result")

    played(story())


def test_a_frame_that_is_too_large_ends_that_connection_alone(served: Served) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            other, large = await joins(session, served.base), await joins(session, served.base)
            await large.line.send_str("x" * (MAX_CLIENT_BYTES + 1))
            while not large.line.closed:
                await large.line.receive()
            assert large.line.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
            served.server.take(result(0))
            await other.hears("result")

    played(story())


@pytest.mark.parametrize(
    "noise",
    [
        b"\0" * 2000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01",
    ],
)
def test_noise_at_the_port_harms_nobody(served: Served, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port)) as line:
        line.sendall(noise)
        line.shutdown(socket.SHUT_WR)
        while line.recv(4096):
            pass

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            await (await joins(session, served.base)).hears("hello")

    played(story())


# Slow and many --------------------------------------------------------------------------------------------


def test_a_viewer_that_does_not_read_loses_pictures_and_others_get_all(served: Served) -> None:
    """One takes nothing while far more comes than the sockets between hold."""
    noise = np.random.default_rng(0).integers(0, 256, 40_000, np.uint8).tobytes()
    hops, each = 40, 10

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            slow, quick = await joins(session, served.base), await joins(session, served.base)
            for page in (slow, quick):
                await page.says(type="watch", max_fps=120)
                await page.says(type="vocabulary.set")
                await page.hears("answer")
            transport: Any = slow.line._response.connection.transport  # type: ignore[union-attr]
            transport.pause_reading()
            backlog = next(one for one in served.server._clients if one.wants.max_fps == 120)._backlog
            got: list[float] = []
            for seq in range(hops):
                served.server.take(preview(seq, [noise + bytes([index]) for index in range(each)]))
                served.server.take(result(seq))
                got += [(await quick.hears("picture"))["t_s"] for _ in range(each)]
                await quick.hears("result", seq=seq)
            assert len(got) == hops * each
            backlogs = [one._backlog for one in served.server._clients]
            assert sorted(one.pace for one in backlogs)[1] == 1.0
            (lost,) = [one.lost for one in backlogs if one.lost]
            assert lost > 0
            assert backlog in backlogs
            transport.resume_reading()
            results: list[int] = []
            while len(results) < hops:
                results.append((await slow.hears("result"))["seq"])
            assert results == list(range(hops)), "what is said is never lost"
            pictures = [(await slow.hears("picture"))["t_s"]]
            while pictures[-1] < hops - 1:  # the newest win
                pictures.append((await slow.hears("picture"))["t_s"])
            assert pictures == sorted(set(pictures))
            assert len(pictures) < hops * each

    played(story())


def test_a_viewer_with_too_much_text_waiting_is_cut_off(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.viewer.backlog.MAX_TEXT_BYTES", 1 << 20)
    monkeypatch.setattr(clients, "KERNEL_BYTES", 4096)
    one = result(0, [1])
    one.tracks[0]["mask"]["counts"] = "0" * 100_000

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            slow, quick = await joins(session, served.base), await joins(session, served.base)
            for page in (slow, quick):
                await page.hears("vocabulary")
            slow.line._response.connection.transport.pause_reading()  # type: ignore[union-attr]
            for seq in range(200):
                served.server.take(replace(one, seq=seq))
                await quick.hears("result")
            while len(served.server._clients) > 1:
                await asyncio.sleep(0.01)

    played(story())


def test_fifty_may_watch(served: Served) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            pages = [await joins(session, served.base) for _ in range(50)]
            for page in pages:
                await page.hears("hello")
            assert served.server.viewers == 50
            served.shows(hop(0))
            served.server.take(result(0, [1]))
            for page in pages:
                await page.hears("result")
                for _ in range(4):
                    await page.hears("picture")

    played(story())


def test_more_than_there_is_room_for_are_turned_away(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_VIEWERS", 1)

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, served.base)
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await joins(session, served.base)
            assert caught.value.status == 503
            await page.hears("hello")

    played(story())


# Frames and clips -----------------------------------------------------------------------------------------


async def status_of(session: aiohttp.ClientSession, url: str, **options: Any) -> int:
    async with session.get(url, **options) as answer:
        await answer.read()
        return answer.status


def test_a_picture_of_a_moment_can_be_had(served: Served) -> None:
    hops = [hop(seq) for seq in range(40)]
    for one in hops:
        served.shows(one)

    async def story() -> None:
        async with aiohttp.ClientSession() as session:

            async def at(t_s: float, generation: int = 0) -> bytes | None:
                where = f"{served.base}frame?source=cam&generation={generation}&t_s={t_s}"
                async with session.get(where) as answer:
                    assert answer.status in (200, 404)
                    return await answer.read() if answer.status == 200 else None

            assert await at(35.3) == hops[35].jpegs[1]
            assert await at(3.9) == hops[3].jpegs[3], "of the older ones, one picture of each hop"
            assert await at(39.9) == hops[39].jpegs[3]
            assert await at(60.0) is None
            assert await at(35.3, generation=1) is None
            for query in ("source=attic&generation=0&t_s=1", "generation=0&t_s=1"):
                assert await status_of(session, f"{served.base}frame?{query}") == 404
            for query in (
                "generation=-1&t_s=1",
                "generation=0&t_s=nan",
                "generation=0",
                "generation=x&t_s=1",
            ):
                assert await status_of(session, f"{served.base}frame?source=cam&{query}") == 400

    played(story())


def test_a_clip_plays_with_sound_and_masks(served: Served) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            assert await status_of(session, f"{served.base}clip?source=cam") == 404  # nothing to show yet
            for seq in range(5):
                served.shows(hop(seq, pictures=10))
                served.server.take(result(seq, [1], frame_size=(48, 64)))
            async with session.get(f"{served.base}clip?source=cam&seconds=3") as answer:
                assert answer.status == 200, await answer.text()
                assert answer.content_type == "video/mp4"
                assert answer.headers["Content-Disposition"] == 'attachment; filename="cam-2s.mp4"'
                film = await answer.read()
            for seconds in ("0", "31", "inf", "x"):
                assert await status_of(session, f"{served.base}clip?source=cam&seconds={seconds}") == 400
            assert await status_of(session, f"{served.base}clip?source=attic") == 404
            with av.open(io.BytesIO(film)) as video:
                pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
            assert len(pictures) == 30
            drawn = pictures[5].astype(int)
            assert (abs(drawn[20:40, 6:20].mean((0, 1)) - drawn[60:80, 60:80].mean((0, 1))) > 8).any(), "tint"
            with av.open(io.BytesIO(film)) as video:
                sound = np.concatenate([frame.to_ndarray().ravel() for frame in video.decode(audio=0)])
            assert np.abs(sound).max() > 0.3

    played(story())


def test_a_client_has_one_clip_made_at_a_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    go_on = Event()
    monkeypatch.setattr(serving, "film", lambda *_, **__: go_on.wait(60) and b"film")
    served.shows(hop(0))
    url = f"{served.base}clip?source=cam"

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            first = asyncio.create_task(status_of(session, url))
            while not served.server._filming:
                await asyncio.sleep(0.01)
            assert await status_of(session, url) == 429
            go_on.set()
            assert await first == 200
            assert await status_of(session, url) == 200

    played(story())


# Who may come in ------------------------------------------------------------------------------------------


def test_every_answer_tells_browsers_what_to_refuse(served: Served) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            for path, status in {"": 200, "page/index.html": 200, "page/../server.py": 404, "x": 404,
                                 "frame": 404, "ws": 403, "favicon.ico": 204}.items():  # fmt: skip
                async with session.get(f"{served.base}{path}") as answer:
                    assert answer.status == status, path
                    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
            async with session.get(served.base) as answer:
                assert answer.headers["Content-Security-Policy"] == (
                    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
                    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
                    "form-action 'none'"
                )
            async with session.post(served.base) as answer:
                assert answer.status == 405

    played(story())


@pytest.mark.parametrize(
    "path", ["/page/../server.py", "/page/%2e%2e/server.py", "/page//etc/passwd", "/page/"]
)
def test_nothing_but_the_page_is_served(served: Served, path: str) -> None:
    line = http.client.HTTPConnection("127.0.0.1", served.server.port)
    line.request("GET", path)
    assert line.getresponse().status == 404
    line.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200), ("localhost:{port}", 200), ("[::1]:{port}", 200), ("localhost:1", 200),
        ("evil.example:{port}", 421), ("192.168.1.5", 421), ("localhost.evil.example", 421),
        ("127.0.0.1@evil.example", 421), ("", 421),
    ],
)  # fmt: skip
def test_the_page_is_served_under_its_own_names_only(served: Served, host: str, status: int) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            headers = {"Host": host.format(port=served.server.port)}
            assert await status_of(session, served.base, headers=headers) == status

    played(story())


@pytest.mark.parametrize(
    "given", [None, "null", "http://evil.example", "http://localhost:1", "https://127.0.0.1:{port}"]
)
def test_a_socket_is_for_the_own_page_only(served: Served, given: str | None) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            headers = {} if given is None else {"Origin": given.format(port=served.server.port)}
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await joins(session, served.base, headers=headers)
            assert caught.value.status == 403

    played(story())


def test_other_pages_cannot_have_anything_made(served: Served) -> None:
    served.shows(hop(0))

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            for site, status in {
                "cross-site": 403,
                "same-site": 403,
                "same-origin": 200,
                "none": 200,
            }.items():
                url, headers = f"{served.base}clip?source=cam", {"Sec-Fetch-Site": site}
                assert await status_of(session, url, headers=headers) == status
            assert await status_of(session, served.base, headers={"Sec-Fetch-Site": "cross-site"}) == 200

    played(story())


def test_a_token_is_asked_for_once_and_kept_out_of_the_address() -> None:
    served = Served(guard=Guard("127.0.0.1", token=TOKEN))
    assert served.server.address == f"{served.base}?token=…"

    async def story() -> None:
        jar = aiohttp.CookieJar(unsafe=True)  # the host is an address
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            for path in ("", "status", "frame?source=cam", "clip?source=cam", "x", f"?token={TOKEN[:-1]}"):
                assert await status_of(session, f"{served.base}{path}") == 401
            assert await status_of(session, f"{served.base}page/index.html") == 200  # nobody's secret
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await joins(session, served.base)
            assert caught.value.status == 401
            async with session.get(f"{served.base}?token={TOKEN}") as answer:
                assert answer.status == 200
                (cookie,) = answer.headers.getall("Set-Cookie")
                assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
                text = await answer.text()
                assert 'content="0;url=/"' in text
                assert TOKEN not in text
            assert await status_of(session, served.base) == 200
            await (await joins(session, served.base)).hears("hello")

    try:
        played(story())
    finally:
        served.server.end("")


# TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@needs_openssl
def test_the_page_can_be_served_over_tls(certificate: Path) -> None:
    place = Place("127.0.0.1", 0, tls_of(str(certificate), f"{certificate}.key"))
    served = Served(place=place, guard=Guard("127.0.0.1", tls=True, token=TOKEN))
    trusting = ssl.create_default_context(cafile=str(certificate))

    async def story() -> None:
        assert served.base.startswith("https://")
        connector = aiohttp.TCPConnector(ssl=trusting)
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
            async with session.get(f"{served.base}?token={TOKEN}") as answer:
                assert "Secure" in answer.headers["Set-Cookie"].split("; ")
            page = await joins(session, served.base)
            await page.hears("hello")
            plain = {"Origin": served.base.rstrip("/").replace("https", "http")}
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await joins(session, served.base, headers=plain)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(served.base.replace("https", "http"))

    try:
        played(story())
    finally:
        served.server.end("")


@needs_openssl
def test_a_certificate_that_cannot_be_used_is_told_in_one_line(certificate: Path, tmp_path: Path) -> None:
    missing, text = tmp_path / "missing.pem", tmp_path / "notes.pem"
    text.write_text("no certificate")
    for given, key, told in [
        (missing, None, f"viewer.certificate: {missing}: cannot be read (No such file or directory)"),
        (certificate, missing, f"viewer.key: {missing}: cannot be read (No such file or directory)"),
        (text, None, f"viewer.certificate: {text}: not a certificate in PEM with the key that belongs"),
        (certificate, None, f"viewer.certificate: {certificate}: not a certificate in PEM with the key"),
    ]:
        with pytest.raises(UserError) as caught:
            tls_of(str(given), key and str(key))
        assert str(caught.value).startswith(told)
        assert "\n" not in str(caught.value)
    assert tls_of(None, None) is None


# Where it is, and its end ---------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_told_in_one_line(served: Served) -> None:
    with pytest.raises(UserError) as caught:
        Served(place=Place("127.0.0.1", served.server.port))
    assert str(caught.value) == (
        f"viewer.port: port {served.server.port} of 127.0.0.1 cannot be used: Address already in use; choose "
        "another, or 0 for any that is free"
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_a_host_that_is_none_is_told_in_one_line(host: str) -> None:
    with pytest.raises(UserError, match=f"viewer.port: port 0 of {host} cannot be used: "):
        Served(place=Place(host, 0))


def test_everybody_hears_when_it_is_over_and_the_port_is_free_again() -> None:
    served = Served()

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            pages = [await joins(session, served.base) for _ in range(3)]
            for page in pages:
                await page.hears("hello")
            ending = asyncio.get_running_loop().run_in_executor(None, served.server.end, "end of the clip")
            for page in pages:
                assert await page.hears("ended") == {"type": "ended", "reason": "end of the clip"}
                closing = await page.line.receive()
                while closing.type is not aiohttp.WSMsgType.CLOSE:
                    closing = await page.line.receive()
                assert closing.data == aiohttp.WSCloseCode.GOING_AWAY
            await ending

    played(story())
    assert not served.server.alive
    again = Served(place=Place("127.0.0.1", served.server.port))
    again.server.end("")
    again.server.end("a second time")


def test_a_server_whose_work_fails_is_not_alive(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("threading.excepthook", lambda args: None)
    served.supervisor.told = {"capture": None}  # type: ignore[dict-item]
    assert wait_for(lambda: not served.server.alive)
    with pytest.raises(RuntimeError):
        served.server.take(result(0))


def test_the_page_has_its_files() -> None:
    files = read_page(PAGE)
    assert files["index.html"][1] == "text/html"
    assert all(
        name.rpartition(".")[2] in ("html", "css", "js", "svg", "png", "json", "woff2") for name in files
    )


def test_pages_do_not_hear_of_sources_that_are_none_of_theirs(served: Served) -> None:
    served.server.take(result(0, source="stranger"))
    served.shows(hop(0, "stranger"))
    assert set(served.hub.kept) == {"cam"}


def test_what_is_kept_is_bounded(served: Served) -> None:
    for seq in range(200):
        served.server.take(preview(seq, [b"jpeg"] * 2))
        served.server.take(result(seq))
    kept = served.hub.kept["cam"]
    assert len(kept.results) == 30
    assert [one["seq"] for one in kept.hops] == list(range(80, 200))
    previews, results = kept.last(30)
    assert [one.seq for one in previews] == [one.seq for one in results] == list(range(170, 200))
    assert kept.still(0, 100 * NS) == b"jpeg"
    assert kept.still(0, 60 * NS) is None
