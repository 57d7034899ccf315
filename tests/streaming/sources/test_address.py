"""What a URI asks for, and that it never shows a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from streaming.errors import UserError
from streaming.sources.address import filled_in, kind_of, redacted


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("webcam:0", "webcam"),
        ("rtsp://camera/1", "network"),
        ("RTSPS://camera/1", "network"),
        ("https://host/live.m3u8", "network"),
        ("clip.mp4", "file"),
        ("/films/a: b.mkv", "file"),
        ("C:\\films\\clip.mp4", "file"),
        ("D:/films/clip.mp4", "file"),
        ("webcam.mp4", "file"),
    ],
)
def test_the_kind_of_a_source_is_in_its_uri(uri: str, kind: str) -> None:
    assert kind_of(uri) == kind


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://camera:554/path?x=1", "rtsp://camera:554/path?x=1"),
        ("rtsp://user:hunter2@camera/path", "rtsp://***@camera/path"),
        ("rtsp://user:a@b/c#d@camera/path", "rtsp://***@camera/path"),
        ("rtsp://hunter2@camera", "rtsp://***@camera"),
        ("http://camera/v?user=me&password=hunter2&size=1", "http://camera/v?user=me&password=***&size=1"),
        ("http://camera/v?access_token=hunter2#x", "http://camera/v?access_token=***#x"),
        (
            "[Errno 5] cannot open 'rtsp://user:hunter2@camera/path' now",
            "[Errno 5] cannot open 'rtsp://***@camera/path' now",
        ),
        ("me@home.mp4", "me@home.mp4"),
    ],
)
def test_what_is_secret_is_not_shown(uri: str, shown: str) -> None:
    assert redacted(uri) == shown


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rstp://me:hunter2@camera/1", "found rstp://***@camera/1, expected one that begins with rtsp://"),
        ("ftp://me:hunter2@camera/1", "found ftp://***@camera/1"),
        ("rtsp:/me:hunter2@camera/1", "found rtsp:/***@camera/1"),
        ("me:hunter2@camera/1", "found an address without a scheme"),
    ],
)
def test_an_address_that_is_written_wrongly_is_not_taken_for_a_file(uri: str, shown: str) -> None:
    with pytest.raises(UserError) as caught:
        kind_of(uri)
    assert shown in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_may_be_called_like_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me:now@home.mp4").touch()
    assert kind_of("me:now@home.mp4") == "file"


def test_a_password_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "p@ss/word")
    assert filled_in("rtsp://me:${CAMERA_PASSWORD}@camera/") == "rtsp://me:p%40ss%2Fword@camera/"
    assert filled_in("rtsp://me:$5@camera/") == "rtsp://me:$5@camera/"
    with pytest.raises(UserError, match=r"source\.uri: \$\{OTHER\} is not set in the environment"):
        filled_in("rtsp://me:${OTHER}@camera/")
    with pytest.raises(UserError, match=r"^a\.b: \$\{OTHER\} is not set in the environment"):
        filled_in("mqtt://me:${OTHER}@broker", "a.b")
