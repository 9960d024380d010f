"""The rows that need a raw socket. Each probe takes a subject and returns
(observed, passed): a short text for the table and whether the row is met."""

import random
import socket
import time

import load
import wire


def _answered(response):
    code = wire.status(response)
    return (str(code) if code else "silence", code is not None and 200 <= code < 300)


def _ask(subject, **changes):
    return wire.ask(subject.target, wire.message(subject.target, subject.user, **changes))


def retransmission(subject):
    """The same datagram twice gets the same bytes twice, from the transaction."""
    data = wire.message(subject.target, subject.user)
    with wire.udp() as sock:
        sock.sendto(data, subject.target)
        first = wire.receive(sock)
        sock.sendto(data, subject.target)
        second = wire.receive(sock)
    if first is None or second is None:
        return "silence", False
    return ("same" if first == second else "differs", first == second)


def copied_headers(subject):
    """From, Call-ID and CSeq come back as they were sent (RFC 3261 8.2.6.2)."""
    sent = {
        "From": "From: \"Alice\" <sip:alice@127.0.0.1:5998;transport=udp>;tag=copied;x=1",
        "Call-ID": "Call-ID: copied-{number}@127.0.0.1",
    }
    request = wire.message(subject.target, subject.user, replace=sent)
    response = wire.ask(subject.target, request)
    if response is None:
        return "silence", False
    changed = [name for name in ("From", "Call-ID", "CSeq") if wire.header(request, name) != wire.header(response, name)]
    return ", ".join(changed) + " changed" if changed else "unchanged", not changed


def compact_form(subject):
    """Compact header names only (RFC 3261 7.3.3)."""
    host, port = subject.target
    return _answered(_ask(subject, replace={
        "Via": "v: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bK-c{number};rport",
        "From": "f: <sip:alice@127.0.0.1>;tag=c{number}",
        "To": f"t: <sip:{subject.user}@{host}:{port}>",
        "Call-ID": "i: compact-{number}",
        "Content-Type": "c: text/plain",
        "Content-Length": "l: 6",
    }))


def folded_header(subject):
    """A header continued on the next line (RFC 3261 7.3.1)."""
    return _answered(_ask(subject, replace={"From": "From:\r\n <sip:alice@127.0.0.1>\r\n ;tag=fold{number}"}))


def lf_only(subject):
    """Bare LF line ends, as some senders write them."""
    return _answered(_ask(subject, end="\n"))


def non_utf8_byte(subject):
    """One Latin-1 byte in a Subject in front of the mandatory headers."""
    return _answered(_ask(subject, extra=["Subject: caf\udce9"]))


def non_utf8_between(subject):
    """One Latin-1 byte in front of the last Via: the response still has every Via."""
    response = _ask(subject, replace={
        "Subject": "Subject: caf\udce9",
        "Via below": "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-below",
    })
    if response is None:
        return "silence", False
    kept = b"z9hG4bK-below" in response
    return ("kept" if kept else "lost, answered " + str(wire.status(response))), kept


def cseq_method(subject):
    """CSeq names another method than the request line: 400 (RFC 3261 8.1.1.5)."""
    code = wire.status(_ask(subject, replace={"CSeq": "CSeq: 1 OPTIONS"}))
    return str(code or "silence"), code == 400


def missing_call_id(subject):
    """No Call-ID: 400 (RFC 3261 8.1.1)."""
    code = wire.status(_ask(subject, replace={"Call-ID": None}))
    return str(code or "silence"), code == 400


def unknown_source(subject):
    """A source outside the admitted addresses hears nothing."""
    code = wire.status(wire.ask(subject.target, wire.message(subject.target, subject.user), "127.0.0.2"))
    return str(code or "silence"), code is None


def tcp_split(subject):
    """Segments that end right after Content-Length and inside the body."""
    data = wire.message(subject.target, subject.user, body="Hello over TCP\n", transport="TCP")
    after_length = data.index(b"Content-Length") + len(b"Content-Length: 15\r\n")
    with socket.create_connection(subject.target, 2) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (data[:after_length], data[after_length:-4], data[-4:]):
            sock.sendall(part)
            time.sleep(0.1)
        # A body left over in the stream spoils the request behind it.
        first = wire.receive(sock)
        sock.sendall(wire.message(subject.target, subject.user, transport="TCP"))
        second = wire.receive(sock)
    observed = "/".join(str(wire.status(each) or "silence") for each in (first, second))
    return observed, _answered(first)[1] and _answered(second)[1]


def own_schedule(subject):
    """When our own MESSAGE is sent again while nobody answers: T1 doubling up to T2."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(subject.sink)
        sink.settimeout(6)
        subject.send_message()
        times = []
        try:
            while len(times) < 6:
                data = sink.recv(65535)
                if data.startswith(b"MESSAGE "):
                    times.append(time.monotonic())
        except TimeoutError:
            pass
    gaps = [after - before for before, after in zip(times, times[1:])]
    wanted = [0.5, 1, 2, 4, 4]
    passed = len(gaps) == 5 and all(abs(gap - due) < 0.15 for gap, due in zip(gaps, wanted))
    return ", ".join(f"{gap:.1f}" for gap in gaps) + " s" if gaps else "nothing sent", passed


def mutated(subject, count=30_000, seed=1):
    """Datagrams with a few bytes changed, cut, doubled or swapped; then one good request."""
    draw = random.Random(seed)
    panics_before = subject.panics()
    with wire.udp() as sock:
        sock.setblocking(False)
        for number in range(count):
            sock.sendto(_mutate(draw, wire.message(subject.target, subject.user)), subject.target)
            if number % 50 == 49:
                time.sleep(0.005)  # slow enough that none is lost in a socket buffer
                load.drain(sock)
    time.sleep(0.5)
    alive = subject.alive() and _answered(_ask(subject))[1]
    panics = subject.panics() - panics_before
    return f"{panics} panics, {'answers' if alive else 'dead'}", alive and panics == 0


_TOKENS = [b"", b"\r\n", b"\r\n\r\n", b"\x00", b"\xff\xfe", b",", b";", b"\"", b"<", b">", b"%", b":",
           b"4294967295", b"-1", b"99999999999999999999", b"SIP/2.0", b"Via:", b"sip:", b"[::", b"@"]


def _mutate(draw, data):
    data = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data)) if data else 0
        to = min(len(data), at + draw.randint(1, 24))
        match draw.randrange(6):
            case 0:
                data[at:at + 1] = bytes([draw.randrange(256)])
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = draw.choice(_TOKENS)
            case 3:
                data[at:to] = draw.choice(_TOKENS)
            case 4:
                data[at:at] = data[at:to] * draw.randint(1, 8)
            case _:
                # empty one header's value, the mutation that random bytes never find
                colon = data.find(b":", at)
                line_end = data.find(b"\r\n", colon)
                if 0 <= colon < line_end:
                    del data[colon + 1:line_end]
    return bytes(data)


def flood(subject, count=20_000):
    """MESSAGEs as fast as they are answered, 200 open at a time."""
    result = load.windowed(subject, count, window=200)
    rss = subject.rss_mb()
    observed = f"{result.answered}/{count} in {result.seconds:.1f} s, RSS {rss:.0f} MB"
    return observed, result.answered == count and subject.alive()
