"""A scripted XMPP call client for the tests, driven by JSON lines as driver.py is.

Jingle is written here by hand, ICE, DTLS and SRTP are aiortc's. By default it behaves: it acknowledges,
answers when told, sends a tone and keeps what it hears. What it should do wrong is said in `faults`:

    fingerprint   "wrong": of another certificate; "none": none, and no DTLS
    setup         the DTLS role it claims
    codecs        so many invented payload types besides
    candidates    "late": only with the op `candidates`; "none": never
    acknowledge   false: no answer to any Jingle request
    mux           false: no rtcp-mux

Anything else can be sent with the op `send`; every stanza that came is reported before it is acted on.
"""

import array
import asyncio
import base64
import fractions
import json
import math
import sys
import time
import uuid
import warnings
import xml.etree.ElementTree as ET

warnings.filterwarnings("ignore")

import aioice.ice
import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.sdp import candidate_from_sdp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

import driver
from driver import Client, emit

JINGLE = "urn:xmpp:jingle:1"
RTP = "urn:xmpp:jingle:apps:rtp:1"
INFO = "urn:xmpp:jingle:apps:rtp:info:1"
ICE = "urn:xmpp:jingle:transports:ice-udp:1"
DTLS = "urn:xmpp:jingle:apps:dtls:0"
FEATURES = [JINGLE, RTP, "urn:xmpp:jingle:apps:rtp:audio", ICE, DTLS]

RATE = 48000
FRAME = RATE // 50


class Tone(MediaStreamTrack):
    """A sine of half the loudest level, 20 ms at a time."""

    kind = "audio"

    def __init__(self, hertz):
        super().__init__()
        self.hertz = hertz
        self.sent = 0
        self.start = None

    async def recv(self):
        self.start = self.start or time.monotonic()
        await asyncio.sleep(max(0, self.start + self.sent / RATE - time.monotonic()))
        step = 2 * math.pi * self.hertz / RATE
        samples = array.array("h", (int(16383 * math.sin(step * (self.sent + n))) for n in range(FRAME)))
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.sample_rate = RATE
        frame.pts = self.sent
        frame.time_base = fractions.Fraction(1, RATE)
        frame.planes[0].update(samples.tobytes())
        self.sent += FRAME
        return frame


def candidate_line(candidate):
    get = candidate.get
    # A browser leaves out the port where it hides the address behind a relay.
    related = f" raddr {get('rel-addr')} rport {get('rel-port', '0')}" if get("rel-addr") else ""
    return (f"{get('foundation')} {get('component')} {get('protocol')} {get('priority')} {get('ip')} {get('port')}"
            f" typ {get('type')}{related}")


def to_sdp(jingle):
    """The first audio content of a Jingle element, as SDP of one stream."""
    content = jingle.find(f"{{{JINGLE}}}content")
    description = content.find(f"{{{RTP}}}description")
    transport = content.find(f"{{{ICE}}}transport")
    fingerprint = transport.find(f"{{{DTLS}}}fingerprint")
    codecs = description.findall(f"{{{RTP}}}payload-type")
    name = content.get("name")
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {name}",
             "m=audio 9 UDP/TLS/RTP/SAVPF " + " ".join(codec.get("id") for codec in codecs),
             "c=IN IP4 0.0.0.0", f"a=mid:{name}", "a=sendrecv", "a=rtcp-mux"]
    for codec in codecs:
        channels = codec.get("channels", "1")
        lines.append(f"a=rtpmap:{codec.get('id')} {codec.get('name')}/{codec.get('clockrate')}"
                     + ("" if channels == "1" else f"/{channels}"))
        parameters = [p.get("name") + (f"={p.get('value')}" if p.get("value") else "")
                      for p in codec.findall(f"{{{RTP}}}parameter")]
        if parameters:
            lines.append(f"a=fmtp:{codec.get('id')} {';'.join(parameters)}")
    lines += [f"a=ice-ufrag:{transport.get('ufrag')}", f"a=ice-pwd:{transport.get('pwd')}"]
    if fingerprint is not None:
        lines += [f"a=fingerprint:{fingerprint.get('hash')} {fingerprint.text.strip()}",
                  f"a=setup:{fingerprint.get('setup')}"]
    lines += ["a=candidate:" + candidate_line(c) for c in transport.findall(f"{{{ICE}}}candidate")
              if c.get("protocol") == "udp"]
    return "\r\n".join(lines) + "\r\n"


def attribute_values(sdp, name):
    prefix = f"a={name}:"
    return [line[len(prefix):] for line in sdp.split("\r\n") if line.startswith(prefix)]


def candidates_xml(sdp):
    text = ""
    for number, line in enumerate(attribute_values(sdp, "candidate")):
        part = line.split()
        text += (f"<candidate id='c{number}' foundation='{part[0]}' component='{part[1]}' protocol='{part[2].lower()}'"
                 f" priority='{part[3]}' ip='{part[4]}' port='{part[5]}' type='{part[7]}' generation='0' network='0'")
        if len(part) > 11:
            text += f" rel-addr='{part[9]}' rel-port='{part[11]}'"
        text += "/>"
    return text


def content_xml(sdp, name, faults):
    """The audio stream of an own description, as a Jingle content with the faults asked for."""
    get = lambda key: attribute_values(sdp, key)
    numbers = next(line for line in sdp.split("\r\n") if line.startswith("m=audio")).split()[3:]
    codecs = ""
    for mapping in get("rtpmap"):
        number, codec = mapping.split()
        if number not in numbers:
            continue
        codec_name, rate, *channels = codec.split("/")
        parameters = [p for line in get("fmtp") if line.split()[0] == number for p in line.split(" ", 1)[1].split(";")]
        codecs += f"<payload-type id='{number}' name='{codec_name}' clockrate='{rate}'"
        codecs += f" channels='{channels[0] if channels else 1}'>"
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            codecs += f"<parameter name='{key}' value='{value}'/>"
        codecs += "</payload-type>"
    for number in range(faults.get("codecs", 0)):
        codecs += f"<payload-type id='{number % 128}' name='invented-{number}' clockrate='8000'/>"
    mux = "<rtcp-mux/>" if faults.get("mux", True) else ""
    digest = next(line for line in get("fingerprint") if line.startswith("sha-256")).split()[1]
    if faults.get("fingerprint") == "wrong":
        digest = ":".join("00" for _ in range(32))
    setup = faults.get("setup") or get("setup")[0]
    fingerprint = f"<fingerprint xmlns='{DTLS}' hash='sha-256' setup='{setup}'>{digest}</fingerprint>"
    if faults.get("fingerprint") == "none":
        fingerprint = ""
    candidates = "" if faults.get("candidates") else candidates_xml(sdp)
    return (f"<content creator='initiator' name='{name}' senders='both'>"
            f"<description xmlns='{RTP}' media='audio'>{codecs}{mux}</description>"
            f"<transport xmlns='{ICE}' ufrag='{get('ice-ufrag')[0]}' pwd='{get('ice-pwd')[0]}'>"
            f"{fingerprint}{candidates}</transport></content>")


class Call:
    """One session: its peer connection and what it has heard."""

    def __init__(self, client, sid, peer, initiator):
        self.client, self.sid, self.peer, self.initiator = client, sid, peer, initiator
        self.name = "voice"
        self.heard = bytearray()
        self.rate = RATE
        self.early = []
        settings = client.settings
        servers = [RTCIceServer(**server) for server in settings["ice_servers"]]
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self.pc.on("connectionstatechange", lambda: self.report(self.pc.connectionState))
        self.pc.on("track", lambda track: client.begin_task(self.listen(track)))

    def report(self, kind, **more):
        emit({"event": "call", "session": self.client.session, "kind": kind, "sid": self.sid, "peer": self.peer, **more})

    def add_tone(self):
        settings = self.client.settings
        self.pc.addTrack(Tone(settings["tone"]))
        if settings["codecs"]:
            known = RTCRtpSender.getCapabilities("audio").codecs
            wanted = [codec for name in settings["codecs"] for codec in known
                      if codec.mimeType.lower() == f"audio/{name.lower()}"]
            for transceiver in self.pc.getTransceivers():
                transceiver.setCodecPreferences(wanted)

    async def listen(self, track):
        try:
            while True:
                frame = await track.recv()
                channels = len(frame.layout.channels)
                samples = array.array("h", bytes(frame.planes[0])[: frame.samples * 2 * channels])
                self.rate = frame.sample_rate
                self.heard += samples[::channels].tobytes()
                # The newest second is enough to know a tone by.
                del self.heard[: -2 * self.rate]
        except Exception as end:
            print(f"{self.sid}: no more sound: {type(end).__name__}", file=sys.stderr)

    async def request(self, action, inside=""):
        role = f" initiator='{self.client.boundjid.full}'" if action == "session-initiate" else ""
        self.client.send_raw(
            f"<iq type='set' to='{self.peer}' id='{uuid.uuid4().hex[:8]}'>"
            f"<jingle xmlns='{JINGLE}' action='{action}' sid='{self.sid}'{role}>{inside}</jingle></iq>")

    async def describe(self, action):
        await self.request(action, content_xml(self.pc.localDescription.sdp, self.name, self.client.faults))

    async def send_candidates(self):
        sdp = self.pc.localDescription.sdp
        ufrag, pwd = attribute_values(sdp, "ice-ufrag")[0], attribute_values(sdp, "ice-pwd")[0]
        await self.request("transport-info",
                           f"<content creator='initiator' name='{self.name}'><transport xmlns='{ICE}' ufrag='{ufrag}'"
                           f" pwd='{pwd}'>{candidates_xml(sdp)}</transport></content>")

    async def apply(self, jingle, kind):
        self.name = jingle.find(f"{{{JINGLE}}}content").get("name")
        await self.pc.setRemoteDescription(RTCSessionDescription(to_sdp(jingle), kind))
        for candidate in self.early:
            await self.add_candidate(candidate)

    async def add_candidate(self, element):
        if element.get("protocol") != "udp":
            return
        if not self.pc.remoteDescription:
            self.early.append(element)
            return
        candidate = candidate_from_sdp(candidate_line(element))
        candidate.sdpMid = self.name
        candidate.sdpMLineIndex = 0
        await self.pc.addIceCandidate(candidate)


class Caller(Client):
    """A client that also takes part in calls."""

    def __init__(self, request):
        self.settings = request
        self.faults = request.get("faults") or {}
        self.calls = {}
        self.tasks = set()
        self.turn = asyncio.Lock()
        super().__init__(request["session"], request["jid"], request["password"], request.get("certificate"))
        if address := request.get("address"):
            # The only one it has: aioice itself leaves out loopback.
            aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]
        self.register_plugin("xep_0115")
        for feature in FEATURES + request["features"]:
            self["xep_0030"].add_feature(feature)
        path = f"{{jabber:client}}iq/{{{JINGLE}}}jingle"
        self.register_handler(Callback("jingle", MatchXPath(path), self.on_jingle))

    def begin_task(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_jingle(self, iq):
        if iq["type"] != "set":
            return
        peer, jingle = str(iq["from"]), ET.fromstring(str(iq)).find(f"{{{JINGLE}}}jingle")
        action, sid = jingle.get("action"), jingle.get("sid")
        if action == "session-initiate":
            self.calls[sid] = Call(self, sid, peer, False)
        if self.faults.get("acknowledge", True):
            known = sid in self.calls
            error = ("<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
                     "<unknown-session xmlns='urn:xmpp:jingle:errors:1'/></error>")
            self.send_raw(f"<iq type='{'result' if known else 'error'}' id='{iq['id']}' to='{peer}'>"
                          f"{'' if known else error}</iq>")
        self.begin_task(self.act(action, sid, jingle))

    async def act(self, action, sid, jingle):
        call = self.calls.get(sid)
        if call is None:
            return
        # One after another, in the order they came.
        async with self.turn:
            await self.act_on(call, action, jingle)

    async def act_on(self, call, action, jingle):
        if action == "session-initiate":
            call.offer = jingle
            call.report("incoming")
        elif action == "session-accept":
            await call.apply(jingle, "answer")
            call.report("accepted")
        elif action == "transport-info":
            for candidate in jingle.iter(f"{{{ICE}}}candidate"):
                await call.add_candidate(candidate)
        elif action == "session-info":
            for child in jingle:
                kind = child.tag.rpartition("}")[2]
                call.report({"active": "resumed", "unhold": "resumed"}.get(kind, kind))
        elif action == "session-terminate":
            reason = jingle.find(f"{{{JINGLE}}}reason")
            condition = "" if reason is None or not len(reason) else reason[0].tag.rpartition("}")[2]
            text = "" if reason is None else reason.findtext(f"{{{JINGLE}}}text") or ""
            call.report("ended", reason=condition, text=text)
            await call.pc.close()


class Driver(driver.Driver):
    async def op_log_in(self, request):
        client = Caller(request)
        outcome = await self.open(request, client)
        await client["xep_0115"].update_caps()
        available = asyncio.get_running_loop().create_future()

        def settle(presence):
            if presence["from"] == client.boundjid and not available.done():
                available.set_result(None)

        # What comes before the server has taken that in, ejabberd keeps for the next login.
        client.add_event_handler("presence", settle)
        client.send_presence()
        await asyncio.wait_for(available, 60)
        client.del_event_handler("presence", settle)
        return outcome

    def call(self, request):
        return self.sessions[request["session"]].calls[request["sid"]]

    async def op_faults(self, request):
        self.sessions[request["session"]].faults = request["faults"]
        return {}

    async def op_call(self, request):
        client = self.sessions[request["session"]]
        sid = request.get("sid") or uuid.uuid4().hex
        call = client.calls[sid] = Call(client, sid, request["to"], True)
        call.add_tone()
        await call.pc.setLocalDescription(await call.pc.createOffer())
        call.name = attribute_values(call.pc.localDescription.sdp, "mid")[0]
        await call.describe("session-initiate")
        return {"sid": sid}

    async def op_ring(self, request):
        await self.call(request).request("session-info", f"<ringing xmlns='{INFO}'/>")
        return {}

    async def op_accept(self, request):
        call = self.call(request)
        # Before the offer, for what was preferred then no longer counts.
        call.add_tone()
        await call.apply(call.offer, "offer")
        await call.pc.setLocalDescription(await call.pc.createAnswer())
        await call.describe("session-accept")
        return {}

    async def op_candidates(self, request):
        await self.call(request).send_candidates()
        return {}

    async def op_end(self, request):
        call = self.call(request)
        await call.request("session-terminate", f"<reason><{request['reason']}/></reason>")
        await call.pc.close()
        return {}

    async def op_hold(self, request):
        await self.call(request).request("session-info", f"<hold xmlns='{INFO}'/>")
        return {}

    async def op_resume(self, request):
        await self.call(request).request("session-info", f"<active xmlns='{INFO}'/>")
        return {}

    async def op_listen(self, request):
        call = self.call(request)
        return {"rate": call.rate, "samples": base64.b64encode(bytes(call.heard)).decode()}

    async def op_stats(self, request):
        pc = self.call(request).pc
        stats = (await pc.getStats()).values()
        one = lambda kind: next((entry for entry in stats if entry.type == kind), None)
        inbound, outbound = one("inbound-rtp"), one("outbound-rtp")
        transport = pc.getSenders()[0].transport
        pair = transport.transport._connection._nominated.get(1)
        profile = getattr(transport, "_srtp_profile", None)
        codecs = [codec.mimeType.split("/")[1] for codec in pc.getTransceivers()[0]._codecs]
        codec = next((name for name in codecs if name != "telephone-event"), "")
        return {
            "connection": pc.connectionState,
            "receives": codec,
            "sends": codec,
            "received": inbound.packetsReceived if inbound else 0,
            "lost": inbound.packetsLost if inbound else 0,
            "sent": outbound.packetsSent if outbound else 0,
            "local": pair.local_candidate.type if pair else "",
            "remote": pair.remote_candidate.type if pair else "",
            "protection": str(profile or ""),
        }


if __name__ == "__main__":
    asyncio.run(Driver().run())
