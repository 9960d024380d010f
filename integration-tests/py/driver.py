"""XMPP clients and components for the tests, driven by JSON lines.

One request per line on standard input, `{"id": 1, "op": ...}`; one answer per request on standard
output, `{"id": 1, "ok": true, ...}` or `{"id": 1, "ok": false, "error": "..."}`. Between them come
events: `{"event": "stanza", "session": ..., "stanza": tree, "xml": text}` for everything received and
`{"event": "closed", "session": ..., "reason": ...}` when a stream ends.

Nothing is matched here: every stanza goes to the caller, exactly as it came. By itself a session only
answers pings and disco queries, and refuses other queries, as slixmpp does for any client; a mute
component answers nothing.
"""

import asyncio
import json
import sys
import xml.etree.ElementTree as ET

import slixmpp
from slixmpp.componentxmpp import ComponentXMPP

CONNECT_LIMIT = 15


def emit(record):
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def tree(element):
    namespace, _, name = element.tag[1:].rpartition("}") if element.tag[0] == "{" else ("", "", element.tag)
    return {
        "name": name,
        "namespace": namespace,
        "attributes": dict(element.attrib),
        "text": element.text or "",
        "children": [tree(child) for child in element],
    }


class Recorder:
    """What clients and components have in common: everything they receive is reported."""

    def begin(self, session):
        self.session = session
        self.ready = asyncio.get_running_loop().create_future()
        self.roster.auto_authorize = None
        self.roster.auto_subscribe = False
        for plugin in ("xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        self.add_event_handler("session_start", lambda _: self.settle(None))
        for failure in ("failed_all_auth", "connection_failed", "stream_error"):
            self.add_event_handler(failure, lambda why, failure=failure: self.settle(f"{failure}: {why}"))
        self.add_event_handler("disconnected", self.report_end)

    def settle(self, failure):
        if self.ready.done():
            return
        if failure is None:
            self.ready.set_result(None)
        else:
            self.ready.set_exception(ConnectionError(failure))

    def report_end(self, reason):
        self.settle(f"disconnected: {reason}")
        emit({"event": "closed", "session": self.session, "reason": str(reason)})

    def incoming_filter(self, xml):
        emit({"event": "stanza", "session": self.session, "stanza": tree(xml),
              "xml": ET.tostring(xml, encoding="unicode")})
        return super().incoming_filter(xml)


class Client(Recorder, slixmpp.ClientXMPP):
    def __init__(self, session, jid, password, certificate=None):
        super().__init__(jid, password)
        self.enable_direct_tls = False
        # With a certificate to trust, only encrypted; servers of the tests have none.
        if certificate:
            self.ca_certs = certificate
        else:
            self.enable_starttls = False
            self.enable_plaintext = True
            self["feature_mechanisms"].unencrypted_plain = True
            self["feature_mechanisms"].unencrypted_scram = True
        self.begin(session)


class Component(Recorder, ComponentXMPP):
    def __init__(self, session, domain, secret, mute):
        super().__init__(domain, secret)
        self.begin(session)
        if mute:
            self.add_filter("in", lambda stanza: None if self.ready.done() else stanza)


class Driver:
    def __init__(self):
        self.sessions = {}

    async def op_client(self, request):
        return await self.open(request, Client(request["session"], request["jid"], request["password"]))

    async def op_component(self, request):
        return await self.open(request, Component(
            request["session"], request["domain"], request["secret"], request.get("mute", False)))

    async def open(self, request, session):
        session.connect(request["host"], request["port"])
        try:
            await asyncio.wait_for(session.ready, CONNECT_LIMIT)
        except BaseException:
            session.abort()
            raise
        self.sessions[request["session"]] = session
        return {"jid": session.boundjid.full}

    async def op_send(self, request):
        self.sessions[request["session"]].send_raw(request["xml"])
        return {}

    async def op_close(self, request):
        await self.sessions.pop(request["session"]).disconnect(wait=2.0)
        return {}

    async def op_abort(self, request):
        self.sessions.pop(request["session"]).abort()
        return {}

    async def carry_out(self, request):
        try:
            outcome = await getattr(self, "op_" + request["op"])(request)
            emit({"id": request["id"], "ok": True, **outcome})
        except Exception as error:
            emit({"id": request["id"], "ok": False, "error": f"{type(error).__name__}: {error}"})

    async def run(self):
        reader = asyncio.StreamReader(limit=1 << 24)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        running = set()
        while line := await reader.readline():
            task = asyncio.ensure_future(self.carry_out(json.loads(line)))
            running.add(task)
            task.add_done_callback(running.discard)


if __name__ == "__main__":
    asyncio.run(Driver().run())
