// A call client that runs in the browser: stanza.js signals, the browser's own WebRTC carries sound.
// driver.mjs calls the functions of `peer`; what happens goes to `emit`, which it provides.

import { createClient } from "stanza";

const calls = new Map();
let client;
let settings;
let sound;

// Every received stanza as a plain tree, of the same form as py/driver.py makes.
function tree(element) {
  return {
    name: element.localName,
    namespace: element.namespaceURI ?? "",
    attributes: Object.fromEntries([...element.attributes].map((a) => [a.name, a.value])),
    text: element.firstChild?.nodeType === Node.TEXT_NODE ? element.firstChild.data : "",
    children: [...element.children].map(tree),
  };
}

function report(kind, session, more = {}) {
  emit({ event: "call", kind, sid: session.sid, peer: session.peerID, ...more });
}

function adopt(session) {
  calls.set(session.sid, session);
  session.pc.addEventListener("connectionstatechange", () => report(session.pc.connectionState, session));
}

// The tone this client sends: an oscillator in the place of a microphone.
function tone() {
  sound ??= new AudioContext({ sampleRate: 48000 });
  const oscillator = sound.createOscillator();
  const gain = sound.createGain();
  const out = sound.createMediaStreamDestination();
  oscillator.frequency.value = settings.tone;
  gain.gain.value = 0.5;
  oscillator.connect(gain).connect(out);
  oscillator.start();
  return out.stream;
}

// The pictures this client sends: a canvas in the place of a camera.
function pictures() {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  setInterval(() => pen.fillRect(Math.random() * canvas.width, 0, 1, canvas.height), 100);
  return canvas.captureStream(10).getVideoTracks();
}

function hear(session, stream) {
  sound ??= new AudioContext({ sampleRate: 48000 });
  // Without an element the browser does not decode a remote track at all.
  const element = document.createElement("audio");
  Object.assign(element, { srcObject: stream, muted: true, autoplay: true });
  document.body.append(element);
  session.ear = sound.createAnalyser();
  session.ear.fftSize = 16384;
  sound.createMediaStreamSource(stream).connect(session.ear);
}

// Restricts what is offered or answered, best first.
function prefer(session) {
  if (!settings.codecs) return;
  const known = RTCRtpReceiver.getCapabilities("audio").codecs;
  const wanted = settings.codecs.flatMap((name) =>
    known.filter((codec) => codec.mimeType.toLowerCase() === `audio/${name.toLowerCase()}`));
  for (const transceiver of session.pc.getTransceivers()) transceiver.setCodecPreferences(wanted);
}

// The preferences of an answer say what is received; the browser would go on to send the best it was offered.
async function insist(session) {
  if (!settings.codecs) return;
  for (const sender of session.pc.getSenders()) {
    const parameters = sender.getParameters();
    const wanted = parameters.codecs.find((codec) => codec.mimeType.toLowerCase() === `audio/${settings.codecs[0].toLowerCase()}`);
    // The first is sent anyway, and naming it fails where the offer gave it other parameters than the browser's own.
    if (!wanted || wanted === parameters.codecs[0] || !parameters.encodings.length) continue;
    parameters.encodings[0].codec = wanted;
    await sender.setParameters(parameters);
  }
}

// What the server offers by XEP-0215.
async function discoverRelays() {
  await client.discoverICEServers();
  // stanza appends a transport to STUN addresses, which the browser refuses.
  for (const server of client.jingle.iceServers)
    server.urls = [server.urls].flat().map((url) => (url.startsWith("stun") ? url.split("?")[0] : url));
}

function call(sid) {
  const session = calls.get(sid);
  if (!session) throw new Error(`no call ${sid}`);
  return session;
}

window.peer = {
  log_in(options) {
    settings = options;
    client = createClient({
      jid: options.jid,
      resource: options.jid.split("/")[1],
      password: options.password,
      transports: options.bosh ? { bosh: options.bosh, websocket: false } : { websocket: options.websocket, bosh: false },
      autoReconnect: false,
      allowResumption: false,
    });
    for (const feature of options.features ?? []) client.disco.addFeature(feature);
    const jingle = client.jingle;
    jingle.resetICEServers();
    for (const server of options.ice_servers ?? []) jingle.addICEServer(server);
    if (options.relay_only) jingle.config.peerConnectionConfig.iceTransportPolicy = "relay";

    client.on("raw:incoming", (xml) => {
      const element = new DOMParser().parseFromString(xml, "text/xml").documentElement;
      // BOSH wraps any number of stanzas in a body.
      for (const stanza of element.localName === "body" ? element.children : [element])
        if (["iq", "message", "presence"].includes(stanza.localName))
          emit({ event: "stanza", stanza: tree(stanza), xml: new XMLSerializer().serializeToString(stanza) });
    });
    jingle.on("log", (level, text) => { if (level === "error") emit({ event: "log", text }); });
    jingle.on("peerTrackAdded", (session, track, stream) => hear(session, stream ?? new MediaStream([track])));
    client.on("jingle:incoming", (session) => { adopt(session); report("incoming", session); });
    for (const kind of ["ringing", "accepted", "hold", "resumed", "mute", "unmute"])
      client.on(`jingle:${kind}`, (session) => report(kind, session));
    client.on("jingle:terminated", (session, reason) =>
      report("ended", session, { reason: reason?.condition ?? "", text: reason?.text ?? "" }));

    return new Promise((resolve, reject) => {
      client.on("auth:failed", () => reject(new Error("refused the password")));
      client.on("disconnected", () => { reject(new Error("disconnected")); emit({ event: "closed", reason: "disconnected" }); });
      client.on("session:started", async () => {
        if (options.discover) await discoverRelays();
        client.updateCaps();
        client.sendPresence({ legacyCapabilities: client.disco.getCaps() });
        resolve({ jid: client.jid });
      });
      client.connect();
    });
  },

  send({ xml }) {
    // Outside a stream every stanza has to say its namespace.
    const whole = /^<\w+[^>]*\sxmlns=/.test(xml) ? xml : xml.replace(/^<(\w+)/, "<$1 xmlns='jabber:client'");
    if (settings.bosh) client.transport.write(whole, "utf8", () => {});
    else client.transport.socket.send(whole);
    return {};
  },

  async call({ to, sid, video }) {
    const stream = tone();
    if (video) pictures().forEach((track) => stream.addTrack(track));
    const session = client.jingle.createMediaSession(to, sid, stream);
    adopt(session);
    // The track is added in the session's own queue, so this comes behind it.
    await session.processLocal("prefer", async () => prefer(session));
    await session.start({ offerToReceiveAudio: true });
    return { sid: session.sid };
  },

  async ring({ sid }) {
    await call(sid).ring();
    return {};
  },

  async accept({ sid }) {
    const session = call(sid);
    const stream = tone();
    for (const track of stream.getTracks()) await session.addTrack(track, stream);
    prefer(session);
    await session.accept();
    await insist(session);
    return {};
  },

  end({ sid, reason }) {
    call(sid).end(reason);
    return {};
  },

  async hold({ sid }) {
    await call(sid).hold();
    return {};
  },

  async resume({ sid }) {
    await call(sid).resume();
    return {};
  },

  async restart({ sid }) {
    await call(sid).restartIce();
    return {};
  },

  press({ sid, keys }) {
    const sender = call(sid).pc.getSenders().find((sender) => sender.dtmf);
    sender.dtmf.insertDTMF(keys, 100, 70);
    return {};
  },

  // The newest third of a second, as 16 bit samples.
  listen({ sid }) {
    const ear = call(sid).ear;
    if (!ear) return { rate: 48000, samples: "" };
    const floats = new Float32Array(ear.fftSize);
    ear.getFloatTimeDomainData(floats);
    const bytes = new Uint8Array(Int16Array.from(floats, (x) => Math.max(-1, Math.min(1, x)) * 32767).buffer);
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return { rate: sound.sampleRate, samples: btoa(text) };
  },

  async stats({ sid }) {
    const pc = call(sid).pc;
    const all = new Map([...(await pc.getStats())]);
    const one = (type) => [...all.values()].find((entry) => entry.type === type) ?? {};
    const inbound = one("inbound-rtp");
    const outbound = one("outbound-rtp");
    const transport = one("transport");
    const pair = all.get(transport.selectedCandidatePairId) ?? {};
    const candidate = (id) => all.get(id) ?? {};
    const codec = (entry) => all.get(entry.codecId)?.mimeType?.replace("audio/", "") ?? "";
    return {
      connection: pc.connectionState,
      receives: codec(inbound),
      sends: codec(outbound),
      received: inbound.packetsReceived ?? 0,
      lost: inbound.packetsLost ?? 0,
      sent: outbound.packetsSent ?? 0,
      local: candidate(pair.localCandidateId).candidateType ?? "",
      remote: candidate(pair.remoteCandidateId).candidateType ?? "",
      protection: transport.srtpCipher ?? "",
      // As on the wire: FEFD is 1.2, FEFC 1.3.
      dtls: transport.tlsVersion ?? "",
    };
  },
};
