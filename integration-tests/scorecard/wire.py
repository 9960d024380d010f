"""SIP by hand: the messages and sockets of the probes that sipp cannot express.

Nothing here parses more than a status line and single header lines.
"""

import itertools
import re
import select
import socket

_numbers = itertools.count(1)


def message(target, user, *, method="MESSAGE", body="Hello\n", extra=(), replace=None, end="\r\n",
            transport="UDP", sent_by="127.0.0.1:5999"):
    """A well-formed request as bytes; `extra` lines go in front of the mandatory
    headers, `replace` maps a header name to its whole line (None drops it)."""
    number = next(_numbers)
    host, port = target
    lines = {
        "Via": f"Via: SIP/2.0/{transport} {sent_by};branch=z9hG4bK-probe-{number};rport",
        "Max-Forwards": "Max-Forwards: 70",
        "From": f"From: <sip:alice@127.0.0.1>;tag=f{number}",
        "To": f"To: <sip:{user}@{host}:{port}>",
        "Call-ID": f"Call-ID: probe-{number}",
        "CSeq": f"CSeq: 1 {method}",
        "Content-Type": "Content-Type: text/plain",
        "Content-Length": f"Content-Length: {len(body.encode())}",
    }
    lines.update(replace or {})
    head = [f"{method} sip:{user}@{host}:{port} SIP/2.0", *extra]
    head += [line.format(number=number) for line in lines.values() if line is not None]
    # surrogateescape lets a test put a raw byte into a header line
    return (end.join(head) + end * 2 + body).encode("utf-8", "surrogateescape")


def status(response):
    """Status code of a response, None for anything else."""
    match = re.match(rb"SIP/2\.0 (\d{3})", response or b"")
    return int(match.group(1)) if match else None


def header(response, name):
    """Value of the first header `name`, or an empty string."""
    match = re.search(rb"(?im)^" + name.encode() + rb"\s*:\s*(.*?)\r?$", response or b"")
    return match.group(1).decode("utf-8", "replace") if match else ""


def udp(source="127.0.0.1"):
    """A bound datagram socket with a large receive buffer."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for force in (33, socket.SO_RCVBUF):  # SO_RCVBUFFORCE where we are root
        try:
            sock.setsockopt(socket.SOL_SOCKET, force, 8 << 20)
            break
        except OSError:
            continue
    sock.bind((source, 0))
    return sock


def receive(sock, seconds=1.5):
    """Next final response within `seconds`, or None for silence."""
    while select.select([sock], [], [], seconds)[0]:
        try:
            data = sock.recv(65535)
        except OSError:
            return None
        if not data:
            return None
        if (status(data) or 0) >= 200:
            return data
    return None


def ask(target, data, source="127.0.0.1", seconds=1.5):
    """Sends one datagram and waits for the final response."""
    with udp(source) as sock:
        sock.sendto(data, target)
        return receive(sock, seconds)
