"""An XMPP client in calls: the scripted one of the tests, in a process of its own, steered by JSON lines."""

import asyncio
import base64
import json
import sys

import ear
from stage import DOMAIN, ROOT, Failure

TONE = 440
LIMIT = 20


class Caller:
    def __init__(self, stage, name):
        self.stage = stage
        self.name = name
        self.answers = {}
        self.events = asyncio.Queue()
        self.asked = 0

    async def log_in(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "integration-tests/py/call_peer.py"),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=open(self.stage.log("caller"), "wb"), limit=1 << 24)
        self.reading = asyncio.create_task(self.read())
        await self.ask("log_in", jid=f"{self.name}@{DOMAIN}/calls", password=self.stage.passwords[self.name],
                       host="127.0.0.1", port=self.stage.client_port, certificate=str(self.stage.certificate),
                       address="127.0.0.1", ice_servers=[], codecs=[], features=[], tone=TONE)

    async def read(self):
        while line := await self.process.stdout.readline():
            record = json.loads(line)
            if "id" in record:
                self.answers.pop(record["id"]).set_result(record)
            elif record["event"] == "call":
                self.events.put_nowait(record)
        for waiting in self.answers.values():
            waiting.set_result({"ok": False, "error": "the client in calls ended by itself"})

    async def ask(self, op, **more):
        self.asked += 1
        answer = self.answers[self.asked] = asyncio.get_running_loop().create_future()
        request = {"id": self.asked, "op": op, "session": self.name, **more}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        try:
            record = await asyncio.wait_for(answer, LIMIT)
        except TimeoutError:
            raise Failure(f"the client in calls did not {op} within {LIMIT} s") from None
        if not record["ok"]:
            raise Failure(f"the client in calls failed to {op}: {record['error']}")
        return record

    async def add(self, contact):
        """Makes `contact` one of the user's contacts: then its side may know the user's devices, and call them."""
        await self.ask("send", xml=f"<presence type='subscribe' to='{contact}'/>")

    async def call(self, contact):
        return (await self.ask("call", to=contact))["sid"]

    async def accept(self, sid):
        await self.ask("accept", sid=sid)

    async def end(self, sid):
        await self.ask("end", sid=sid, reason="success")

    async def wait(self, *kinds):
        """Waits for an event of one of these kinds; a call that ends instead is a failure."""
        while True:
            try:
                event = await asyncio.wait_for(self.events.get(), LIMIT)
            except TimeoutError:
                raise Failure(f"the client in calls was not told {' or '.join(kinds)} within {LIMIT} s") from None
            if event["kind"] in kinds:
                return event
            if event["kind"] in ("ended", "failed"):
                raise Failure(f"the call {event['kind']}: {event.get('reason', '')} {event.get('text', '')}")

    async def hear(self, sid):
        """What the last half second sounded like, in Hz."""
        record = await self.ask("listen", sid=sid)
        return ear.measure(ear.from_bytes(base64.b64decode(record["samples"])), record["rate"])

    async def leave(self):
        self.process.stdin.close()
        await self.process.wait()
