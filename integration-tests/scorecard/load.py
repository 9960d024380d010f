"""Load over one UDP socket: as many requests as are answered, at a steady rate,
or as fast as they leave. What is counted: answers, CPU and resident memory."""

import dataclasses
import re
import select
import time

import wire

_BRANCH = re.compile(rb"branch=z9hG4bK-l(\d+)")


@dataclasses.dataclass
class Load:
    """Outcome of a run: requests sent and answered, seconds, how long after the last
    request the last answer came (`lag`, seconds), and the subject's CPU seconds and
    resident memory (MB) before, at its peak and at the end."""

    sent: int = 0
    answered: int = 0
    seconds: float = 0.0
    lag: float = 0.0
    cpu: float = 0.0
    rss_before: float = 0.0
    rss_peak: float = 0.0
    rss_end: float = 0.0


class _Requests:
    """A stream of distinct MESSAGEs, cut from one template for speed."""

    def __init__(self, subject, run):
        raw = wire.message(subject.target, subject.user, body="x" * 200)
        raw = re.sub(rb"branch=z9hG4bK-probe-\d+", b"branch=z9hG4bK-l@@", raw)
        raw = re.sub(rb"tag=f\d+", b"tag=l@@", raw)
        self._parts = re.sub(rb"Call-ID: probe-\d+", b"Call-ID: l@@", raw).split(b"@@")
        self._base = run << 32

    def __getitem__(self, number):
        return (b"%d" % (self._base + number)).join(self._parts)

    def number(self, response):
        match = _BRANCH.search(response)
        return int(match.group(1)) - self._base if match else None


def drain(sock):
    """Discards what has arrived; returns how many finals there were."""
    finals = 0
    try:
        while True:
            finals += (wire.status(sock.recv(65535)) or 0) >= 200
    except (BlockingIOError, ConnectionError):
        return finals


def windowed(subject, count, window, patience=10.0):
    """Keeps `window` requests open; one unanswered for 0.5 s is sent again."""
    requests = _Requests(subject, time.time_ns() & 0xFFFF)
    result = Load(rss_before=subject.rss_mb())
    cpu, begin = subject.cpu_seconds(), time.monotonic()
    last_answer = begin
    with wire.udp() as sock:
        sock.setblocking(False)
        open_since, next_number = {}, 0
        while result.answered < count and time.monotonic() - last_answer < patience:
            while len(open_since) < window and next_number < count:
                sock.sendto(requests[next_number], subject.target)
                open_since[next_number] = time.monotonic()
                next_number += 1
            if not select.select([sock], [], [], 0.1)[0]:
                _send_again(sock, subject, requests, open_since)
                continue
            for number in _finals(sock, requests):
                if open_since.pop(number, None) is not None:
                    result.answered += 1
                    last_answer = time.monotonic()
        result.sent = next_number
    result.seconds = time.monotonic() - begin
    result.cpu = subject.cpu_seconds() - cpu
    result.rss_end = result.rss_peak = subject.rss_mb()
    return result


def _finals(sock, requests):
    try:
        for _ in range(256):
            data = sock.recv(65535)
            if (wire.status(data) or 0) >= 200:
                yield requests.number(data)
    except (BlockingIOError, ConnectionError):
        return


def _send_again(sock, subject, requests, open_since):
    now = time.monotonic()
    for number, since in open_since.items():
        if now - since > 0.5:
            sock.sendto(requests[number], subject.target)
            open_since[number] = now


def paced(subject, rate, seconds, settle=1.0):
    """Sends `rate` requests a second (0: as fast as they leave) and never again."""
    requests = _Requests(subject, time.time_ns() & 0xFFFF)
    result = Load(rss_before=subject.rss_mb())
    cpu, begin = subject.cpu_seconds(), time.monotonic()
    with wire.udp() as sock:
        sock.setblocking(False)
        next_look = 0.0
        while (now := time.monotonic() - begin) < seconds:
            due = int(now * rate) if rate else result.sent + 64
            while result.sent < due:
                try:
                    sock.sendto(requests[result.sent], subject.target)
                except BlockingIOError:
                    break
                result.sent += 1
            result.answered += sum(1 for _ in _finals(sock, requests))
            if now >= next_look:
                result.rss_peak = max(result.rss_peak, subject.rss_mb())
                next_look = now + 0.25
            if rate:
                time.sleep(0.001)
        stopped = time.monotonic()
        while (late := time.monotonic() - stopped) < settle:
            if finals := drain(sock):
                result.answered, result.lag = result.answered + finals, late
            result.rss_peak = max(result.rss_peak, subject.rss_mb())
            time.sleep(0.01)
    result.seconds = seconds
    result.cpu = subject.cpu_seconds() - cpu
    result.rss_end = subject.rss_mb()
    return result
