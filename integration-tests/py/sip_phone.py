"""A SIP phone that can be killed: it takes numbered messages and sends some of its own (promise tests).

Its one argument is a JSON object: `listen` and `gateway` (`host:port`), `record` (a file), `delay` and
`pace` (seconds), and `calls`, each with `from`, `to` and `bodies`, sent in order, one at a time.

The record has one JSON line for everything that counts, written with one `write` before the step it
tells of, so it holds after kill -9. A phone started again reads its record and goes on behind the last
message it began: what it was asking when it was killed, nobody will ever tell it.

It is a proper user agent where that matters to a count: one request with its retransmissions is one
(RFC 3261 17.2.2), and its own requests are retransmitted until Timer F (17.1.2).
"""

import asyncio
import json
import os
import re
import sys
import time

T1, T2, TIMER_F = 0.5, 4.0, 32.0
# A message that the phone refuses, and one it first puts off, by the number at the end of its text.
REFUSED, PUT_OFF = (23, 5), (29, 3)
# How long this phone waits where it is told Retry-After: a test has no half minute.
IMPATIENCE = 0.4


class Record:
    def __init__(self, path):
        self.past = []
        if os.path.exists(path):
            with open(path) as lines:
                self.past = [json.loads(line) for line in lines]
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, what, **details):
        line = json.dumps({"what": what, "at": time.time(), **details})
        os.write(self.file, line.encode() + b"\n")


def split(datagram):
    head, _, body = datagram.decode(errors="replace").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return start, fields, body


def first(fields, name):
    return next((value for field, value in fields if field == name), "")


def branch_of(fields):
    found = re.search(r"branch=([^;,\s]+)", first(fields, "via"))
    return found.group(1) if found else ""


def number_of(body):
    found = re.search(r"(\d+)$", body)
    return int(found.group(1)) if found else 0


class Phone(asyncio.DatagramProtocol):
    def __init__(self, settings):
        self.settings = settings
        self.record = Record(settings["record"])
        self.run = sum(1 for line in self.record.past if line["what"] == "started")
        self.put_off = {line["body"] for line in self.record.past if line.get("status") == 480}
        self.answers = {}
        self.finals = {}
        self.branches = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        start, fields, body = split(data)
        if start.startswith("SIP/2.0 "):
            waiting = self.finals.get(branch_of(fields))
            status = int(start.split(" ")[1])
            if waiting and status >= 200 and not waiting.done():
                waiting.set_result((status, first(fields, "retry-after")))
            return
        method, uri, *_ = start.split(" ") + ["", ""]
        branch = branch_of(fields)
        if branch in self.answers:
            if self.answers[branch]:
                self.transport.sendto(self.answers[branch], peer)
            return
        self.answers[branch] = None
        delay = self.settings["delay"] if method == "MESSAGE" else 0
        asyncio.get_running_loop().call_later(delay, self.answer, method, uri, fields, body, branch, peer)

    def answer(self, method, uri, fields, body, branch, peer):
        status, more = 200, ""
        number = number_of(body)
        if method == "MESSAGE":
            if number % REFUSED[0] == REFUSED[1]:
                status = 486
            elif number % PUT_OFF[0] == PUT_OFF[1] and body not in self.put_off:
                self.put_off.add(body)
                status, more = 480, "Retry-After: 1\r\n"
            self.record.write("answered", body=body, status=status, uri=uri, call=first(fields, "call-id"),
                              cseq=first(fields, "cseq"), sender=first(fields, "from"))
        kept = "".join(f"{name}: {value}{';tag=phone' if name == 'to' and 'tag=' not in value else ''}\r\n"
                       for name, value in fields if name in ("via", "from", "to", "call-id", "cseq"))
        self.answers[branch] = f"SIP/2.0 {status} Said\r\n{kept}{more}Content-Length: 0\r\n\r\n".encode()
        self.transport.sendto(self.answers[branch], peer)

    async def call(self, index, call):
        begun = {line["body"] for line in self.record.past if line["what"] == "asked"}
        cseq = 0
        for body in call["bodies"]:
            if body in begun:
                continue
            status, retry = 480, "1"
            while status >= 480 and retry:
                cseq += 1
                status, retry = await self.ask(index, call, cseq, body)
                self.record.write("final", body=body, cseq=cseq, run=self.run, status=status, retry=retry)
                if retry:
                    await asyncio.sleep(IMPATIENCE)
            await asyncio.sleep(self.settings["pace"])

    async def ask(self, index, call, cseq, body):
        """One transaction; status 0 is its Timer F."""
        self.branches += 1
        name = f"{index}-{self.run}"
        branch = f"z9hG4bK-{os.getpid()}-{self.branches}"
        text = (f"MESSAGE {call['to']} SIP/2.0\r\nVia: SIP/2.0/UDP {self.settings['listen']};branch={branch};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: <{call['from']}>;tag=t{name}\r\nTo: <{call['to']}>\r\n"
                f"Call-ID: {self.settings['name']}-{name}\r\nCSeq: {cseq} MESSAGE\r\nContent-Type: text/plain\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}")
        self.finals[branch] = asyncio.get_running_loop().create_future()
        self.record.write("asked", body=body, cseq=cseq, run=self.run, sender=call["from"], to=call["to"])
        interval, end = T1, time.monotonic() + TIMER_F
        try:
            while (left := end - time.monotonic()) > 0:
                self.transport.sendto(text.encode(), self.gateway)
                try:
                    return await asyncio.wait_for(asyncio.shield(self.finals[branch]), min(interval, left))
                except asyncio.TimeoutError:
                    interval = min(interval * 2, T2)
            return 0, ""
        finally:
            del self.finals[branch]

    @property
    def gateway(self):
        host, _, port = self.settings["gateway"].rpartition(":")
        return host, int(port)


async def main():
    settings = json.loads(sys.argv[1])
    host, _, port = settings["listen"].rpartition(":")
    _, phone = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Phone(settings), local_addr=(host, int(port)))
    phone.record.write("started")
    await asyncio.gather(*(phone.call(index, call) for index, call in enumerate(settings["calls"])))
    phone.record.write("done")
    await asyncio.Event().wait()


asyncio.run(main())
