"""The clip benchmarks run on: the project's demo clip, repeated and scaled to the size asked for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

DEMO = Path(__file__).resolve().parent.parent / "media" / "demo.mp4"
FPS = 25
RATE_HZ = 48_000


def write_clip(path: Path, seconds: int, height: int, width: int) -> None:
    """An H.264 and AAC clip of `seconds`, of `height` x `width`, at 25 frames a second."""
    pictures, sound = _demo(height, width)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        video.height, video.width, video.pix_fmt = height, width, "yuv420p"
        audio = out.add_stream("aac", rate=RATE_HZ, layout="stereo")
        for i in range(seconds * FPS):
            frame = av.VideoFrame.from_ndarray(pictures[i % len(pictures)], format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        samples = np.tile(sound, -(-seconds * RATE_HZ // sound.shape[1]))[:, : seconds * RATE_HZ]
        for start in range(0, samples.shape[1], 1024):
            chunk = np.ascontiguousarray(samples[:, start : start + 1024])
            block = av.AudioFrame.from_ndarray(chunk, format="fltp", layout="stereo")
            block.sample_rate, block.pts, block.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
            out.mux(audio.encode(block))
        out.mux(audio.encode(None))


def _demo(height: int, width: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The demo's pictures (H, W, 3) uint8 at the size asked for, and its sound (2, n) float32."""
    pictures, blocks = [], []
    resample = av.AudioResampler("fltp", "stereo", RATE_HZ)
    with av.open(str(DEMO)) as source:
        for frame in source.decode(source.streams.video[0], source.streams.audio[0]):
            if isinstance(frame, av.VideoFrame):
                pictures.append(frame.to_ndarray(format="rgb24", width=width, height=height))
            elif isinstance(frame, av.AudioFrame):
                blocks += [block.to_ndarray() for block in resample.resample(frame)]
    return pictures, np.concatenate(blocks, axis=1)
