//! Calls of the whole b2bua: any datagram, any fact of a hostile component, any word of media, any time.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant, UNIX_EPOCH};

use tandem_b2bua::action::Action;
use tandem_b2bua::clock::Now;
use tandem_b2bua::core::Core;
use tandem_b2bua::dns::Answer;
use tandem_b2bua::media::{self, AnchorId, Command, Failure, Leg};
use tandem_b2bua::sip::header::Name;
use tandem_b2bua::sip::hop::{NotSent, Transmit};
use tandem_b2bua::sip::parse::{Framing, parse};
use tandem_b2bua::sip::{Message, Method, Request, Response, Status};
use tandem_shared::bus::link::Link;
use tandem_shared::bus::{Envelope, Incoming, NodeId, SessionId};
use tandem_shared::event::{Control, Event, Hello};
use tandem_shared::media::IceCredentials;
use tandem_shared::mint::Mint;

use super::script::{Step, steps};
use super::{b2bua, bus, sdp, sip, xmpp};

/// Runs a script. Nothing in it makes the b2bua panic, send what cannot be read back, or keep a
/// call, a session or media once the component is gone and everybody's patience is over.
///
/// In datagrams `@TAG` stands for the tag we used last and `@CALL` for the Call-ID of our last INVITE.
pub fn script(data: &[u8]) {
    let mut bench = Bench::new();
    bench.happen(b"up");
    for step in steps(data) {
        match step {
            Step::Envelope(json) => bench.envelope(json),
            Step::Pass(time) => bench.pass(time),
            Step::Happens(event) => bench.happen(event),
            Step::Bytes(bytes) => bench.datagram(bytes),
        }
    }
    bench.happen(b"down");
    for _ in 0..40 {
        bench.pass(Duration::from_secs(60));
    }
    assert_eq!(bench.core.calls(), (0, 0));
    assert!(bench.anchors.is_empty(), "media of {:?}", bench.anchors);
}

struct Bench {
    core: Core,
    now: Now,
    far: Link,
    requests: VecDeque<(Request, Transmit)>,
    anchors: BTreeSet<AnchorId>,
    tag: String,
    call_id: String,
}

impl Bench {
    fn new() -> Self {
        let mut settings = b2bua::settings();
        settings.endpoint = settings.endpoint.with_calls();
        settings.call.max = 4;
        let digests = settings.mapping.digests();
        let instant = Instant::now();
        let wall = UNIX_EPOCH + Duration::from_secs(1_785_585_600);
        Self {
            core: Core::new(settings, Mint::new([2; 16]), [7; 16], 1),
            now: Now { instant, wall },
            far: Link::new(NodeId("far".to_owned()), FAR_EPOCH, digests),
            requests: VecDeque::new(),
            anchors: BTreeSet::new(),
            tag: String::new(),
            call_id: String::new(),
        }
    }

    fn envelope(&mut self, json: &[u8]) {
        if let Ok(mut envelope) = serde_json::from_slice::<Envelope>(json) {
            envelope.epoch = FAR_EPOCH;
            self.core
                .handle_bus(Incoming::Envelope(Box::new(envelope)), self.now);
            self.drain();
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.wall += time;
        self.core.handle_timeout(self.now);
        self.drain();
    }

    fn datagram(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        for (word, value) in [("@TAG", &self.tag), ("@CALL", &self.call_id)] {
            bytes = replaced(&bytes, word.as_bytes(), value.as_bytes());
        }
        self.core.handle_sip_packet(sip::flow(), &bytes, self.now);
        self.drain();
    }

    fn happen(&mut self, event: &[u8]) {
        match event {
            b"up" => {
                self.core.handle_bus(Incoming::Connected, self.now);
                let hello = Event::Control(Control::Hello(Hello {
                    answer: true,
                    versions: vec![1],
                    mapping: xmpp::mapping().digests(),
                }));
                let hello = self.far.envelope(SessionId::control(), hello);
                self.core.handle_bus(Incoming::Envelope(hello), self.now);
            }
            b"down" => self.core.handle_bus(Incoming::Disconnected, self.now),
            b"unsent" => {
                if let Some(id) = self.requests.pop_front().and_then(|(_, sent)| sent.id) {
                    self.core
                        .handle_sip_send_failed(id, NotSent::Connect, self.now);
                }
            }
            b"ring" => self.respond(180, "a", None, ""),
            b"early" => self.respond(183, "a", None, ANSWER),
            b"reliable" => self.respond(183, "a", Some((Name::RSeq, "1")), ANSWER),
            b"fork" => self.respond(200, "b", None, ANSWER),
            b"accept" => self.respond(200, "a", None, ANSWER),
            b"ok" => self.respond(200, "a", None, ""),
            b"short" => self.respond(422, "a", Some((Name::MinSe, "4000")), ""),
            b"glare" => self.respond(491, "a", None, ""),
            b"gone" => self.respond(481, "a", None, ""),
            b"busy" => self.respond(486, "a", None, ""),
            b"challenge" => {
                let challenge = r#"Digest realm="a", nonce="b", qop="auth""#;
                self.respond(407, "a", Some((Name::ProxyAuthenticate, challenge)), "");
            }
            b"silent" => self.fail(Leg::Sip, Failure::Silent),
            b"unencrypted" => self.fail(Leg::Xmpp, Failure::Fingerprint),
            b"key" => {
                if let Some(anchor) = self.anchors.last().copied() {
                    let event = media::Event::Dtmf {
                        anchor,
                        leg: Leg::Xmpp,
                        key: '5',
                        duration: Duration::from_millis(100),
                        relayed: false,
                    };
                    self.core.handle_media(event, self.now);
                }
            }
            _ => {
                // Whatever waits for an answer is done.
                self.requests.pop_front();
            }
        }
        self.drain();
    }

    fn fail(&mut self, leg: Leg, failure: Failure) {
        if let Some(anchor) = self.anchors.last().copied() {
            let event = media::Event::Failed {
                anchor,
                leg,
                failure,
            };
            self.core.handle_media(event, self.now);
        }
    }

    /// The peer answers the oldest request; it waits for more after a provisional response.
    fn respond(&mut self, code: u16, tag: &str, header: Option<(Name<'static>, &str)>, body: &str) {
        let Some((request, _)) = self.requests.front() else {
            return;
        };
        let mut response = Response::to(request, Status::new(code).expect("a status"));
        let to = request.headers.get(Name::To).unwrap_or_default();
        if !to.contains(";tag=") {
            response.headers.set(Name::To, &format!("{to};tag={tag}"));
        }
        response
            .headers
            .push(Name::Contact, "<sip:romeo@192.0.2.1>");
        if let Some((name, value)) = header {
            let is_reliable = name.as_str() == "RSeq";
            response.headers.push(name, value);
            if is_reliable {
                response.headers.push(Name::Require, "100rel");
            }
        }
        if !body.is_empty() {
            response.headers.push(Name::ContentType, "application/sdp");
            response.body = body.as_bytes().to_vec().into();
        }
        if code >= 200 && tag != "b" {
            self.requests.pop_front();
        }
        let mut bytes = Vec::new();
        response.print(&mut bytes);
        self.core.handle_sip_packet(sip::flow(), &bytes, self.now);
    }

    fn drain(&mut self) {
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Transmit(transmit) => {
                    sip::check_ours(&transmit);
                    self.note(transmit);
                }
                Action::Publish(envelope) => bus::check_ours(&envelope),
                Action::Media(command) => self.obey(*command),
                Action::Resolve(query) => {
                    self.core.handle_dns(query, Answer::Failed, self.now);
                }
                Action::Store(_) | Action::Forget(_) | Action::Close(_) | Action::CloseBus => {}
            }
        }
        self.requests.truncate(64);
    }

    fn note(&mut self, transmit: Transmit) {
        let tag = |headers: &tandem_b2bua::sip::Headers, name| {
            let value = headers.get(name).unwrap_or_default();
            let tag = value.split_once(";tag=").map(|(_, tag)| tag.to_owned());
            tag.unwrap_or_default()
        };
        match parse(&transmit.bytes, Framing::Stream) {
            Ok(Message::Request(request)) => {
                self.tag = tag(&request.headers, Name::From);
                if request.method == Method::Invite {
                    self.call_id = request.call_id().to_owned();
                }
                let repeated = self.requests.iter().any(|(_, sent)| *sent == transmit);
                if request.method != Method::Ack && !repeated {
                    self.requests.push_back((request, transmit));
                }
            }
            Ok(Message::Response(response)) => self.tag = tag(&response.headers, Name::To),
            Err(_) => {}
        }
    }

    /// Media does as it is told.
    fn obey(&mut self, command: Command) {
        let ice = || IceCredentials {
            ufrag: "ours".to_owned(),
            pwd: "a-password-of-ours-that-is-long".to_owned(),
        };
        let local = sdp::local();
        let xmpp = media::XmppLocal {
            ice: ice(),
            fingerprint: local.fingerprint.clone(),
            candidates: Vec::new(),
            ssrc: 1,
            cname: "c".to_owned(),
        };
        let event = match command {
            Command::Open { anchor, .. } => {
                assert!(self.anchors.insert(anchor), "{anchor:?} twice");
                media::Event::Opened {
                    anchor,
                    xmpp: Box::new(xmpp),
                    sip: Box::new(local),
                }
            }
            Command::Restart { anchor } => media::Event::Restarted {
                anchor,
                xmpp: Box::new(xmpp),
            },
            Command::Release { anchor } => {
                assert!(self.anchors.remove(&anchor), "{anchor:?} is not there");
                media::Event::Released {
                    anchor,
                    report: Box::default(),
                }
            }
            Command::ConnectXmpp { anchor, .. }
            | Command::Candidates { anchor, .. }
            | Command::ConnectSip { anchor, .. }
            | Command::Dtmf { anchor, .. } => {
                assert!(self.anchors.contains(&anchor), "{anchor:?} is not there");
                return;
            }
        };
        self.core.handle_media(event, self.now);
    }
}

fn replaced(bytes: &[u8], word: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        match rest.strip_prefix(word) {
            Some(behind) => {
                out.extend_from_slice(value);
                rest = behind;
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

const FAR_EPOCH: u64 = 9;
const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n";
