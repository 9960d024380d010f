"""Tells a tone by its frequency: what both ends of a call heard is measured, not believed."""

import array
import math

# Codecs and clocks move a tone by less.
TOLERANCE = 8
# Below this loudness (of 32767) nothing is heard.
AUDIBLE = 300


def measure(samples, rate):
    """The strongest tone of the last half second, in Hz; None if there is not enough, or only noise."""
    samples = samples[-rate // 2:]
    if len(samples) < rate // 3:
        return None
    loudness = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
    if loudness < AUDIBLE:
        return None
    # Every few samples are enough for tones of a telephone.
    step = max(1, rate // 8000)
    samples, rate = samples[::step], rate / step
    power, hertz = max((strength(samples, rate, hertz), hertz) for hertz in range(200, 1500, 4))
    whole = sum(sample * sample for sample in samples) * len(samples) / 2
    return hertz if power > whole / 2 else None


def strength(samples, rate, hertz):
    """Goertzel's algorithm: the power at one frequency."""
    factor = 2 * math.cos(2 * math.pi * hertz / rate)
    before, last = 0.0, 0.0
    for sample in samples:
        before, last = last, sample + factor * last - before
    return before * before + last * last - factor * before * last


def from_bytes(data):
    """Samples of 16 bits, the lower byte first."""
    return array.array("h", data[:len(data) // 2 * 2])


def is_tone(heard, hertz):
    return heard is not None and abs(heard - hertz) <= TOLERANCE
