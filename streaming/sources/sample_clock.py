"""A microphone's own clock, held against the one that all else goes by.

A device that says 48 kHz runs at that rate by its own quartz, off by up to some hundreds of parts in a
million: 200 ppm are 12 ms in a minute, a whole picture in three. How far off is found by counting samples
over a minute or more, and taken out by resampling, so that sound stays where it belongs and no sample is
ever cut out or doubled.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import soxr

EVERY_S = 0.25  # one stamp is remembered so often ...
SPAN_S = 120.0  # ... for so long
LEAST_S = 60.0  # before this much has been counted, the device is believed
RECENT_S = 10.0  # stamps of so long are averaged to tell where the newest samples belong
WORST_PPM = 1000.0
# What is left of an error in place, after stamps and counts were compared, is made up for in so many seconds.
CATCH_UP_S = 10.0
CATCH_UP_PPM = 300.0


class SampleClock:
    """When a device's samples were recorded, by the line that best fits their jittering stamps.

    rate_hz: what the device says.
    """

    def __init__(self, rate_hz: int) -> None:
        self.nominal_hz = rate_hz
        self.rate_hz = float(rate_hz)  # as counted
        self._marks: deque[tuple[int, int]] = deque()  # number of a sample, its stamp
        self._mean = (0.0, 0.0)

    def again(self) -> SampleClock:
        """For the same device, whose samples are counted anew: what is known of its rate is kept."""
        clock = SampleClock(self.nominal_hz)
        clock.rate_hz = self.rate_hz
        return clock

    @property
    def ppm(self) -> float:
        """How much faster the device runs than it says, in parts per million."""
        return (self.rate_hz / self.nominal_hz - 1) * 1e6

    def note(self, number: int, t_ns: int) -> None:
        """Sample `number` (counted from the first) was recorded at t_ns, give or take the stamps' jitter."""
        if self._marks and number - self._marks[-1][0] < EVERY_S * self.nominal_hz:
            return
        self._marks.append((number, t_ns))
        while number - self._marks[0][0] > SPAN_S * self.nominal_hz:
            self._marks.popleft()
        self._fit()

    def time_ns(self, number: int) -> int:
        """When sample `number` was recorded."""
        first_number, first_ns = self._marks[0]
        mean_number, mean_ns = self._mean
        return first_ns + round(mean_ns + (number - first_number - mean_number) * 1e9 / self.rate_hz)

    def _fit(self) -> None:
        # Counted from the first mark, so that no digits are lost.
        marks = np.array(self._marks, dtype=np.int64)
        numbers, times_ns = (marks - marks[0]).astype(np.float64).T
        recent = numbers >= numbers[-1] - RECENT_S * self.nominal_hz
        self._mean = (float(numbers[recent].mean()), float(times_ns[recent].mean()))
        if numbers[-1] < LEAST_S * self.nominal_hz:
            return
        x, y = numbers - numbers.mean(), times_ns - times_ns.mean()
        counted_hz = 1e9 * float(x @ x) / float(x @ y)
        bound = self.nominal_hz * WORST_PPM / 1e6
        self.rate_hz = float(np.clip(counted_hz, self.nominal_hz - bound, self.nominal_hz + bound))


class SteadySound:
    """Sound at a rate that is true by the clock all else goes by, from a device that is not.

    rate_hz: of what comes out.
    channels: of what comes in and out.
    """

    def __init__(self, clock: SampleClock, rate_hz: int, channels: int) -> None:
        self._clock, self._rate_hz, self._channels = clock, rate_hz, channels
        # Room for the worst device, and for catching up.
        most = 1 + 2 * (WORST_PPM + CATCH_UP_PPM) / 1e6
        self._stream = soxr.ResampleStream(
            clock.nominal_hz * most, rate_hz, channels, dtype="float32", quality="HQ", vr=True
        )
        self._taken = self._given = 0
        self._place = 0.0  # of the next sample that is taken, among those that are given
        self._begun_ns: int | None = None

    def put(self, samples: np.ndarray) -> tuple[int, np.ndarray] | None:
        """(n, channels) float32, the next samples of the device, whose time the clock knows.

        Returns the time of the first sample that comes out, and samples (m, channels); None for none yet.
        """
        if self._begun_ns is None:
            self._begun_ns = self._clock.time_ns(self._taken)
        read_hz = self._read_hz()
        self._stream.set_io_ratio(read_hz, self._rate_hz)
        came = self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32))
        self._taken += len(samples)
        self._place += len(samples) * self._rate_hz / read_hz
        t_ns = self._begun_ns + round(self._given * 1e9 / self._rate_hz)
        self._given += len(came)
        return (t_ns, came) if len(came) else None

    def _read_hz(self) -> float:
        """How fast to read what comes in: at the device's own rate, a little slower where it is too early."""
        assert self._begun_ns is not None
        late_s = (self._clock.time_ns(self._taken) - self._begun_ns) / 1e9 - self._place / self._rate_hz
        catching_up = np.clip(late_s / CATCH_UP_S, -CATCH_UP_PPM / 1e6, CATCH_UP_PPM / 1e6)
        return self._clock.rate_hz * (1 - float(catching_up))
