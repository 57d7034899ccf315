"""Asking over HTTP, of a real server on loopback that is slow, wrong, endless or sly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from model.errors import ModelError
from model.openavs.endpoint import MOST_BYTES, Endpoint, NoAnswer
from tests.model.openavs.speaker import Speaker, completion

ASKED = [{"role": "user", "content": "what is that?"}]
Says = Callable[[BaseHTTPRequestHandler, dict[str, Any]], bytes | None]
KEY = "sk-of-a-test"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Says], Speaker]]:
    monkeypatch.setenv("no_proxy", "*")
    speakers: list[Speaker] = []

    def serve(says: Says) -> Speaker:
        speakers.append(Speaker(says))
        return speakers[-1]

    yield serve
    for one in speakers:
        one.close()


def test_it_asks_as_chat_completions_are_asked(
    serve: Callable[[Says], Speaker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    speaker = serve(lambda *_: completion("a dog"))
    assert Endpoint(speaker.url + "/", "A_KEY").ask("some-model", ASKED) == "a dog"
    (body,) = speaker.asked
    assert (body["model"], body["messages"], body["temperature"]) == ("some-model", ASKED, 0)
    assert (speaker.keys, speaker.paths) == ([f"Bearer {KEY}"], ["/v1/chat/completions"])


def test_no_key_is_sent_where_none_is_named(serve: Callable[[Says], Speaker]) -> None:
    speaker = serve(lambda *_: completion("a dog"))
    Endpoint(speaker.url).ask("m", ASKED)
    assert speaker.keys == [None]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"<html>welcome</html>", "something else than a chat completion"),
        (b"", "something else than a chat completion"),
        (b"[" * 100_000, "something else than a chat completion"),
        (b'{"choices": []}', "something else than a chat completion"),
        (b'{"error": {"message": "pay first"}}', "something else than a chat completion"),
        (completion(None), "no text"),
        (completion([{"type": "text"}]), "no text"),
        (b"x" * (MOST_BYTES + 1), "more than 256 KiB"),
    ],
)
def test_nonsense_is_no_answer(serve: Callable[[Says], Speaker], answer: bytes, told: str) -> None:
    with pytest.raises(NoAnswer, match=told):
        Endpoint(serve(lambda *_: answer).url).ask("m", ASKED)


def test_a_server_that_never_stops_talking_is_left(serve: Callable[[Says], Speaker]) -> None:
    def talks(handler: BaseHTTPRequestHandler, _: object) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * 65536)

    with pytest.raises(NoAnswer, match="more than 256 KiB"):
        Endpoint(serve(talks).url).ask("m", ASKED)


def test_a_server_that_says_nothing_is_left(serve: Callable[[Says], Speaker]) -> None:
    def waits(handler: BaseHTTPRequestHandler, _: object) -> None:
        speaker.may_end.wait()

    speaker = serve(waits)
    with pytest.raises(NoAnswer, match=r"takes longer than 0\.2 s"):
        Endpoint(speaker.url, timeout_s=0.2).ask("m", ASKED)


def test_a_server_that_talks_drop_by_drop_is_left(serve: Callable[[Says], Speaker]) -> None:
    def drips(handler: BaseHTTPRequestHandler, _: object) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not speaker.may_end.wait(0.02):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    speaker = serve(drips)
    with pytest.raises(NoAnswer, match=r"takes longer than 0\.3 s"):
        Endpoint(speaker.url, timeout_s=0.3).ask("m", ASKED)


def test_the_key_goes_nowhere_else(serve: Callable[[Says], Speaker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    other = serve(lambda *_: completion("mine now"))

    def sends_on(handler: BaseHTTPRequestHandler, _: object) -> None:
        handler.send_response(307)
        handler.send_header("Location", other.url + "/chat/completions")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with pytest.raises(NoAnswer, match="status 307"):
        Endpoint(serve(sends_on).url, "A_KEY").ask("m", ASKED)
    assert other.asked == []


def test_what_is_told_of_a_failure_has_no_word_of_the_servers_and_no_key(
    serve: Callable[[Says], Speaker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", KEY)

    def refuses(handler: BaseHTTPRequestHandler, _: object) -> None:
        handler.send_response(401, f"wrong key {KEY}")
        handler.end_headers()
        handler.wfile.write(KEY.encode())

    with pytest.raises(NoAnswer) as error:
        Endpoint(serve(refuses).url, "A_KEY").ask("m", ASKED)
    assert str(error.value) == "it answers with status 401"


def test_nobody_there_is_told(serve: Callable[[Says], Speaker]) -> None:
    speaker = serve(lambda *_: None)
    speaker.close()
    with pytest.raises(NoAnswer, match="cannot be reached"):
        Endpoint(speaker.url).ask("m", ASKED)
    speaker.close = lambda: None  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("url", "variable", "told"),
    [
        ("ftp://a/v1", None, "expected http"),
        ("localhost:11434", None, "expected http"),
        ("http://[::1/v1", None, "found no address"),
        ("https://me:secret@a/v1", None, "holds a name or password"),
        ("https://a/v1?key=secret", None, "holds a [?] or #"),
        ("http://example.org/v1", "A_KEY", "over https only"),
        ("https://example.org/v1", "NOT_SET", "the variable NOT_SET is not set"),
    ],
)
def test_addresses_that_will_not_do_are_told_without_secrets(
    url: str, variable: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ModelError, match=told) as error:
        Endpoint(url, variable).check()
    assert "secret" not in str(error.value)
    assert KEY not in str(error.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "http://localhost/v1", "https://a.org/v1"])
def test_a_key_may_go_over_https_and_within_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    Endpoint(url, "A_KEY").check()
