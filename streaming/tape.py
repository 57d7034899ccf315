"""A tape: the snippets and previews of a source as they came, kept in an MCAP file and played back exactly.

MCAP (mcap.dev) is the container of robotics: messages on channels, each with a time. Here each source has one
channel for each kind of message, and a message is what a link would carry (`streaming.messages`), as a
msgpack list of its frames, with the one change that pictures are compressed:

    [source id, header, part ...]    the picture of a snippet as the JPEG or PNG that `tape.picture` names

Every message is a chunk of its own and is flushed: a crash loses the one that was being written.

Tape time is what playing goes by. For a live source it is the wall clock when a message was let go; a file
may have been read faster than it plays, so its tape time is where its windows end, one generation behind the
other.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import cv2
import msgpack
import numpy as np
import zstandard
from mcap.exceptions import McapError
from mcap.reader import SeekingReader
from mcap.records import Channel, DataEnd
from mcap.records import Message as Record
from mcap.stream_reader import CRCValidationError, StreamReader
from mcap.summary import Summary
from mcap.writer import CompressionType, Writer

from streaming.errors import UserError
from streaming.messages import End, Message, MessageError, Preview, Snippet, decode, encode
from streaming.schema import Buffer

Pictures = Literal["jpeg", "lossless"]
PROFILE = "ov-avss-live"
ENCODING = "msgpack"
PICTURE = "tape.picture"  # in a channel's metadata: how the pictures of its snippets are compressed
HOP_S = "tape.hop_s"  # and how far apart its snippets are
DROPPED = "dropped"  # the channel that tells which snippets the pipeline was too slow for
JPEG_QUALITY = 95
PNG_LEVEL = 1  # half the time of the usual level, for a tenth more bytes
EXTENSIONS: dict[Pictures, str] = {"jpeg": ".jpg", "lossless": ".png"}
MAGIC = b"\x89MCAP0\r\n"
# What the reader of a file that was cut short may come across.
TORN = (McapError, CRCValidationError, zstandard.ZstdError, struct.error, EOFError, KeyError, ValueError)

log = logging.getLogger(__name__)


class Dropped(NamedTuple):
    """A snippet that came, but was replaced by a newer one before the pipeline took it."""

    source: str
    seq: int


class Played(NamedTuple):
    """What a tape holds, and when it was, in tape time."""

    tape_ns: int
    message: Message | Dropped


def is_tape(path: Path) -> bool:
    """Whether a file is an MCAP file, by its first bytes."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
    return False


class TapeWriter:
    """Writes a tape.

    pictures: `lossless`, or `jpeg`, a tenth of the size, by which a replay differs from the live run.
    live: whether tape time is the time of the messages' emission.
    hop_s: how far apart snippets are.

    Raises `UserError` where the file cannot be made or written; what was written before stays.
    """

    def __init__(self, path: str | Path, *, pictures: Pictures, live: bool, hop_s: float) -> None:
        self.path = Path(path)
        self.messages = 0
        self._pictures: Pictures = pictures
        self._live = live
        self._told_of = {PICTURE: pictures, HOP_S: str(hop_s)}
        self._channels: dict[tuple[str, str], int] = {}
        self._clock = _StreamTime()
        self._newest_ns = 0
        self._file: BinaryIO | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("wb")
            # A chunk ends as soon as it holds anything.
            self._writer = Writer(self._file, chunk_size=1, compression=CompressionType.ZSTD)
            self._writer.start(profile=PROFILE, library=PROFILE)
            self._file.flush()
        except OSError as error:
            raise self._told(error) from error

    def write(self, message: Snippet | Preview | End) -> None:
        """Adds a message; it is in the file when this returns."""
        frames = list(encode(message))
        if isinstance(message, Snippet):
            frames[2] = self._compressed(message.frame)
        at_ns = message.emitted_ns if self._live else self._clock.of(message)
        kind = type(message).__name__.lower()
        self._add(message.source, kind, at_ns, [bytes(frame) for frame in frames])

    def dropped(self, message: Message) -> None:
        """Notes that the pipeline did not get this snippet; comes before the one that took its place."""
        self._add(message.source, DROPPED, self._newest_ns, message.seq)

    def close(self) -> None:
        """Writes the index and closes the file; a second call does nothing."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            self._writer.finish()
            file.close()
        except OSError as error:
            raise self._told(error) from error

    def _add(self, source: str, kind: str, at_ns: int, content: Any) -> None:
        if self._file is None:
            raise ValueError(f"{self.path}: the tape is closed")
        self._newest_ns = max(self._newest_ns, at_ns)
        packed = msgpack.packb(content)
        assert packed is not None
        try:
            self._writer.add_message(
                channel_id=self._channel(source, kind),
                log_time=self._newest_ns,
                publish_time=self._newest_ns,
                data=packed,
                sequence=self.messages,
            )
            self._file.flush()
        except OSError as error:
            raise self._told(error) from error
        self.messages += 1

    def _channel(self, source: str, kind: str) -> int:
        if (source, kind) not in self._channels:
            self._channels[source, kind] = self._writer.register_channel(
                topic=f"/{source}/{kind}",
                message_encoding=ENCODING,
                schema_id=0,
                metadata=self._told_of,
            )
        return self._channels[source, kind]

    def _compressed(self, picture: np.ndarray) -> bytes:
        how = (
            [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            if self._pictures == "jpeg"
            else [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]
        )
        whole = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        return cv2.imencode(EXTENSIONS[self._pictures], whole, how)[1].tobytes()

    def _told(self, error: OSError) -> UserError:
        return UserError(f"{self.path}: cannot be written ({error.strerror or error}); choose another file")


class _StreamTime:
    """Where a file's windows end, one generation behind the other: never running backwards."""

    def __init__(self) -> None:
        self._generation: int | None = None
        self._offset_ns = self._newest_ns = 0

    def of(self, message: Message) -> int:
        if message.generation != self._generation:
            self._generation, self._offset_ns = message.generation, self._newest_ns - message.t_ns
        self._newest_ns = max(self._newest_ns, self._offset_ns + message.t_ns + message.dur_ns)
        return self._newest_ns


class TapeReader:
    """Reads a tape. Raises `UserError` for a file that cannot be opened or holds no tape.

    `cut_short` says, once all is read, where a tape without an end stops.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.cut_short: str | None = None
        try:
            with self.path.open("rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    raise UserError(f"{self.path}: not an MCAP file, expected a recording by `record`")
                file.seek(0)
                self._summary = _summary(file)
                first = next(self._messages(file), None)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        if first is None:
            told = self.cut_short or "nothing was recorded"
            raise UserError(f"{self.path}: found no snippet in it ({told}), expected a recording by `record`")
        channel, message = first
        self._first_ns = message.log_time
        self.hop_s = float(channel.metadata.get(HOP_S, 1.0))
        channels = self._summary.channels.values() if self._summary else [channel]
        self.sources: tuple[str, ...] = tuple(sorted({_source(channel.topic) for channel in channels}))

    @property
    def duration_s(self) -> float:
        """How long it is; 0 for one that was cut short, whose length nobody has written down."""
        if self._summary is None or self._summary.statistics is None:
            return 0.0
        return (self._summary.statistics.message_end_time - self._first_ns) / 1e9

    def play(self, start_s: float = 0.0) -> Iterator[Played]:
        """What is on it, in order, from `start_s` of tape time on. Raises `UserError` for what is no message.

        A tape that was cut short is read up to the cut.
        """
        from_ns = self._first_ns + round(start_s * 1e9)
        with self.path.open("rb") as file:
            for channel, message in self._messages(file, from_ns):
                if message.log_time >= from_ns:
                    yield Played(message.log_time, self._content(channel, message.data))

    def find(self, wanted: set[tuple[str, int, int]]) -> Iterator[Snippet]:
        """The snippets with these (source, generation, number), in order; no other picture is decompressed.

        Raises `UserError` for what is no message.
        """
        missing = set(wanted)
        with self.path.open("rb") as file:
            for channel, message in self._messages(file):
                if not missing:
                    return
                if channel.topic.endswith("/snippet"):
                    place = self._place(channel, message.data)
                    if place in missing and isinstance(
                        found := self._content(channel, message.data), Snippet
                    ):
                        missing.discard(place)
                        yield found

    def _place(self, channel: Channel, data: bytes) -> tuple[str, int, int] | None:
        """Which snippet it is, by its header alone; None for what has none."""
        try:
            header = msgpack.unpackb(msgpack.unpackb(data)[1])
            return _source(channel.topic), header["generation"], header["seq"]
        except (ValueError, TypeError, LookupError, msgpack.UnpackException):
            return None

    def _messages(self, file: BinaryIO, from_ns: int = 0) -> Iterator[tuple[Channel, Record]]:
        """The records of a file in order; with an index, chunks that end before `from_ns` are not read."""
        channels = dict(self._summary.channels) if self._summary else {}
        chunks = self._summary.chunk_indexes if self._summary else []
        starts = [chunk.chunk_start_offset for chunk in chunks if chunk.message_end_time >= from_ns]
        file.seek(min(starts, default=0))
        try:
            for record in StreamReader(file, skip_magic=bool(starts)).records:
                if isinstance(record, Channel):
                    channels[record.id] = record
                elif isinstance(record, Record):
                    yield channels[record.channel_id], record
                elif isinstance(record, DataEnd):
                    return
            self.cut_short = "it has no end"
        except TORN as error:
            self.cut_short = f"it was cut short: {error or type(error).__name__}"

    def _content(self, channel: Channel, data: bytes) -> Message | Dropped:
        try:
            content = msgpack.unpackb(data)
            if channel.topic.endswith(f"/{DROPPED}"):
                return Dropped(_source(channel.topic), int(content))
            if channel.topic.endswith("/snippet"):
                content[2] = _picture(content[2])
            return decode(content)
        except (MessageError, ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
            raise UserError(f"{self.path}: {channel.topic}: found what is no message: {error}") from error


def _summary(file: BinaryIO) -> Summary | None:
    """What the end of a file says of the whole; None where it was cut short."""
    try:
        return SeekingReader(file).get_summary()
    except (*TORN, OSError):  # a file shorter than its own footer
        return None


def _source(topic: str) -> str:
    return topic.split("/")[1]


def _picture(compressed: bytes) -> Buffer:
    picture = cv2.imdecode(np.frombuffer(compressed, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("a picture that cannot be decompressed")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).reshape(-1).data
