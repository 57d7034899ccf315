"""Who may come in: the same for every route, and never by what a page could make a browser say."""

from __future__ import annotations

import socket

import pytest

from streaming.errors import UserError
from streaming.viewer.guard import Guard, check_token, is_of_another_page, token_of

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "localhost:8765", "LOCALHOST", "[::1]:1"])
def test_a_page_on_loopback_is_asked_for_by_names_of_loopback(host: str) -> None:
    assert Guard("127.0.0.1").knows(host)


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "10.0.0.1", "localhost.evil.example", "localhost.", "a@localhost",
     "localhost/x", "localhost:x", "localhost:99999", "localhost?x", "[::1", "127.0.0.1.evil.example",
     "0x7f.1", "\u2024"],
)  # fmt: skip
def test_by_another_name_it_is_not(host: str | None) -> None:
    assert not Guard("127.0.0.1").knows(host)


def test_a_page_for_others_is_asked_for_by_address_or_a_name_of_its_own() -> None:
    guard = Guard("0.0.0.0", token=TOKEN, names=["Cam.Example"])
    for host in ("10.0.0.1:8765", "[2001:db8::1]:8765", "localhost", socket.gethostname(), "cam.example:1"):
        assert guard.knows(host)
    assert not guard.knows("evil.example")
    assert Guard("cam.lan", token=TOKEN).knows("cam.lan:8765")


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://localhost:8765", True), ("HTTP://LOCALHOST:8765", True), ("http://localhost:8766", False),
        ("http://127.0.0.1:8765", False), ("https://localhost:8765", False), ("http://evil.example", False),
        ("http://localhost:8765.evil.example", False), ("null", False), ("", False), (None, False),
    ],
)  # fmt: skip
def test_the_own_page_is_what_was_served_under_that_name(origin: str | None, own: bool) -> None:
    assert Guard("127.0.0.1").is_own_page(origin, "localhost:8765") is own


def test_one_token_is_enough_and_without_one_everybody_may_come() -> None:
    guard = Guard("0.0.0.0", token=TOKEN)
    assert guard.admits(None, TOKEN)
    assert guard.admits(TOKEN, "an old one")
    for given in [(), (None,), ("",), (TOKEN[:-1],), (TOKEN + "0",), ("\udcff\N{DOG FACE}",)]:
        assert not guard.admits(*given)
    assert Guard("127.0.0.1").admits(None)


@pytest.mark.parametrize(
    ("site", "other"),
    [
        (None, False),
        ("same-origin", False),
        ("none", False),
        ("same-site", True),
        ("cross-site", True),
        ("", True),
    ],
)
def test_browsers_tell_whose_page_asks(site: str | None, other: bool) -> None:
    assert is_of_another_page(site) is other


def test_a_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIEWER_TOKEN", TOKEN)
    monkeypatch.delenv("ABSENT", raising=False)
    assert token_of("") == ""
    assert token_of(TOKEN) == TOKEN
    assert token_of("${VIEWER_TOKEN}") == TOKEN
    with pytest.raises(UserError, match=r"^viewer.token: \${ABSENT} is not set in the environment"):
        token_of("${ABSENT}")
    monkeypatch.setenv("VIEWER_TOKEN", "hunter2 & more, and it is long")
    with pytest.raises(UserError) as caught:
        token_of("${VIEWER_TOKEN}")
    assert "expected 16 to 200 of the characters" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "token", ["short", "0123456789abcdef&x=y", "0123456789abcde\n", "x" * 201, "\u00e9" * 20]
)
def test_a_token_that_is_written_wrongly_is_told_without_what_it_is(token: str) -> None:
    with pytest.raises(ValueError, match="expected 16 to 200") as caught:
        check_token(token)
    assert token not in str(caught.value)
