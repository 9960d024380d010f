"""The phone: baresip, steered over its control port, read from its SIP trace.

It has a number and no registrar, answers every call, plays a tone and keeps what it hears. It reports
no received MESSAGE on the control port, so those are read from the trace in its log.
"""

import asyncio
import json
import re

import ear
from stage import DOMAIN, GATEWAY, NUMBER, Failure, find

MODULES = "/usr/lib/baresip/modules"
TONE = 880
LIMIT = 20
# Of a file with samples.
WAV_HEAD = 44
HEAD = re.compile(rb"\x1b\[36;1m#\n\w+ (\S+) -> (\S+)\n")
LENGTH = re.compile(rb"\r\n(?:Content-Length|l) *: *(\d+)", re.IGNORECASE)


class Phone:
    def __init__(self, stage, loop_interval=0.05):
        self.stage = stage
        self.interval = loop_interval
        self.address = f"127.0.0.1:{stage.sip_port}".encode()
        self.received = asyncio.Queue()
        self.answers = asyncio.Queue()
        self.events = asyncio.Queue()
        self.ear = stage.directory / "phone/ear"
        self.responses = asyncio.Queue()
        self.known = set()
        self.offset = 0

    async def start(self):
        stage = self.stage
        self.ear.mkdir(parents=True)
        stage.write("phone/config", stage.fill("phone.config", MODULES=MODULES, TONE=str(TONE), EAR=str(self.ear)))
        # No registrar: Tandem is its proxy, and Tandem's route leads to its port.
        stage.write("phone/accounts", f'"Phone" <sip:{NUMBER}@{GATEWAY};transport=udp>;'
                    f'outbound="sip:127.0.0.1:{stage.gateway_port};transport=udp";regint=0;answermode=auto\n')
        contacts = (f'"{user}" <{address_of(user)}>\n' for user in stage.passwords)
        stage.write("phone/contacts", "".join(contacts))
        stage.start("phone", find("baresip"), "-s", "-f", stage.directory / "phone")
        stage.wait_port("phone", stage.control_port)
        self.control = await asyncio.open_connection("127.0.0.1", stage.control_port)
        self.watching = [asyncio.create_task(work) for work in (self.watch(), self.attend())]

    async def say(self, user, text):
        """Sends `text` to an XMPP user; the outcome comes through `answers`."""
        # The list does not wrap around: to one end of it, then to the other.
        for step in ("contact_prev", "contact_next"):
            for _ in range(len(self.stage.passwords) + 1):
                if f"<{address_of(user)}>" in await self.command(step):
                    await self.command("message", text)
                    return
        raise Failure(f"{user} is no contact of the phone")

    async def dial(self, user):
        """Calls an XMPP user."""
        await self.command("dial", address_of(user))

    async def hang_up(self):
        await self.command("hangup")

    async def wait(self, kind):
        """Waits for an event such as CALL_ESTABLISHED; a call that ends instead is a failure."""
        while True:
            try:
                event = await asyncio.wait_for(self.events.get(), LIMIT)
            except TimeoutError:
                raise Failure(f"the phone did not tell {kind} within {LIMIT} s") from None
            if event["type"] == kind:
                return event
            if event["type"] == "CALL_CLOSED":
                raise Failure(f"the phone's call ended: {event.get('param', '')}")

    def hear(self):
        """What the last half second of the latest call sounded like, in Hz."""
        recordings = sorted(self.ear.glob("*-dec.wav"), key=lambda path: path.stat().st_mtime)
        if not recordings:
            return None
        data = recordings[-1].read_bytes()
        rate = int.from_bytes(data[24:28], "little")
        return ear.measure(ear.from_bytes(data[WAV_HEAD:]), rate) if rate else None

    async def command(self, name, parameters=""):
        _, writer = self.control
        request = json.dumps({"command": name, "params": parameters, "token": "demo"}, ensure_ascii=False).encode()
        writer.write(b"%d:%s," % (len(request), request))
        record = await self.responses.get()
        if not record["ok"]:
            raise Failure(f"the phone refused {name}: {record['data']}")
        return record["data"]

    async def attend(self):
        """Reads the control port, where events come between responses."""
        reader, _ = self.control
        while True:
            length = int((await reader.readuntil(b":"))[:-1])
            record = json.loads((await reader.readexactly(length + 1))[:-1])
            (self.responses if record.get("response") else self.events).put_nowait(record)

    async def watch(self):
        """Reads the trace as it grows."""
        with open(self.stage.log("phone"), "rb") as log:
            text = b""
            while True:
                text += log.read()
                while (found := take(text)) is not None:
                    source, target, message, text = found
                    self.handle(source, target, message)
                await asyncio.sleep(self.interval)

    def handle(self, source, target, message):
        head, _, body = message.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        start = first.split(b" ", 2)
        fields = dict(line.split(b":", 1) for line in lines if b":" in line)
        key = (start[0], fields.get(b"Call-ID"), fields.get(b"CSeq"), start[1])
        if target != self.address or key in self.known:
            return
        self.known.add(key)
        if start[0] == b"MESSAGE":
            sender = re.search(rb"sip:([^@>]+)%40", fields.get(b"From", b""), re.IGNORECASE)
            self.received.put_nowait((sender and sender[1].decode(), body.decode(errors="replace")))
        elif start[0] == b"SIP/2.0" and int(start[1]) >= 200:
            self.answers.put_nowait(b" ".join(start[1:]).decode(errors="replace"))


def take(text):
    """The first whole message of a trace: source, target, message, rest; None while there is none."""
    head = HEAD.search(text)
    end = text.find(b"\r\n\r\n", head.end()) if head else -1
    if end < 0:
        return None
    length = LENGTH.search(text, head.end(), end + 2)
    last = end + 4 + (int(length[1]) if length else 0)
    if last > len(text):
        return None
    return head[1], head[2], text[head.end():last], text[last:]


def address_of(user):
    """The SIP address of an XMPP user."""
    return f"sip:{user}%40{DOMAIN}@{GATEWAY}"
