//! The whole b2bua: any datagram, any envelope of a hostile peer, any time (specs Z07).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use tandem_b2bua::account::AccountSettings;
use tandem_b2bua::action::{Action, Record};
use tandem_b2bua::clock::Now;
use tandem_b2bua::core::Core;
use tandem_b2bua::dns::Answer;
use tandem_b2bua::emergency::Emergency;
use tandem_b2bua::fingerprint::Fingerprint;
use tandem_b2bua::message::thread::Threads;
use tandem_b2bua::message::translate::{self, Translated};
use tandem_b2bua::number::{Numbering, Numbers};
use tandem_b2bua::policy::{Allowance, Policy};
use tandem_b2bua::settings::{MessageSettings, Settings};
use tandem_b2bua::sip::endpoint::{Admission, EndpointConfig, SentBy, Source};
use tandem_b2bua::sip::header::Name;
use tandem_b2bua::sip::hop::{NotSent, Transmit};
use tandem_b2bua::sip::parse::{Framing, parse};
use tandem_b2bua::sip::uri::{Host, HostPort};
use tandem_b2bua::sip::{Message, Response, Status, Transport};
use tandem_b2bua::trunk::{NextHop, Trunk, Trunks};
use tandem_shared::address::Address;
use tandem_shared::bus::link::Link;
use tandem_shared::bus::{Envelope, Incoming, NodeId, SessionId};
use tandem_shared::event::{Control, Event, Hello, MessageOutcome};
use tandem_shared::message::MessageId;
use tandem_shared::mint::Mint;
use tandem_shared::refusal::{Reason, Refusal};

use super::script::{Step, steps};
use super::{bus, sip, xmpp};

/// Whoever a MESSAGE comes from, its sender becomes a contact that is none of our users, and its
/// recipient one of ours.
pub fn from_sip(data: &[u8]) {
    let Ok(Message::Request(request)) = parse(data, Framing::Datagram) else {
        return;
    };
    let settings = settings();
    let source = Source::of(sip::flow());
    let print = Fingerprint::of(&[7; 16], source.address(), &request);
    let threads = Threads::default();
    match translate::from_sip(&request, source, print, &settings, &threads, now()) {
        Ok(Translated::Message(message)) => {
            let mapping = &settings.mapping;
            assert!(mapping.serves(&message.to.host) && !mapping.serves(&message.from.host));
            let contact = mapping
                .contact_to_jid(&message.from)
                .expect("every contact has a JID");
            assert_eq!(contact.domain().as_str(), "sip.example.com");
            assert!(mapping.user_to_jid(&message.to).is_ok());
            assert!(!message.body.trim().is_empty());
            let illegal =
                |c| matches!(c, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
            assert!(!message.body.contains(illegal));
        }
        Ok(Translated::Shared(_) | Translated::Nothing) => {}
        Err(refusal) => {
            let response =
                tandem_b2bua::refusal::to_sip(&refusal, &request, &settings.mapping, true);
            assert!(!response.status.is_success() && !response.status.is_provisional());
        }
    }
}

/// Runs a script. Nothing in it makes the b2bua panic, send what cannot be read back or has a
/// header field it should not have, or keep anything that was never answered.
pub fn core(data: &[u8]) {
    let mut bench = Bench::new();
    bench.happen(b"up");
    for step in steps(data) {
        match step {
            Step::Envelope(json) => bench.envelope(json),
            Step::Pass(time) => bench.pass(time),
            Step::Happens(event) => bench.happen(event),
            Step::Bytes(bytes) => {
                bench.core.handle_sip_packet(sip::flow(), bytes, bench.now);
                bench.drain();
            }
        }
    }
    bench.happen(b"down");
    for _ in 0..40 {
        bench.pass(Duration::from_secs(60));
    }
    assert_eq!(bench.core.waiting(), 0);
}

struct Bench {
    core: Core,
    now: Now,
    far: Link,
    requests: VecDeque<Transmit>,
    published: VecDeque<(SessionId, MessageId)>,
}

impl Bench {
    fn new() -> Self {
        let settings = settings();
        let far = Link::new(
            NodeId("far".to_owned()),
            FAR_EPOCH,
            settings.mapping.digests(),
        );
        Self {
            core: Core::new(settings, Mint::new([2; 16]), [7; 16], 1),
            now: now(),
            far,
            requests: VecDeque::new(),
            published: VecDeque::new(),
        }
    }

    fn envelope(&mut self, json: &[u8]) {
        let Ok(mut envelope) = serde_json::from_slice::<Envelope>(json) else {
            return;
        };
        envelope.epoch = FAR_EPOCH;
        self.core
            .handle_bus(Incoming::Envelope(Box::new(envelope)), self.now);
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.wall += time;
        self.core.handle_timeout(self.now);
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
                if let Some(id) = self.requests.pop_front().and_then(|request| request.id) {
                    self.core
                        .handle_sip_send_failed(id, NotSent::Connect, self.now);
                }
            }
            b"refuse" => self.respond(404, None),
            b"busy" => self.respond(480, Some((Name::RetryAfter, "30"))),
            b"challenge" => {
                let challenge = r#"Digest realm="a", nonce="b", qop="auth""#;
                self.respond(407, Some((Name::ProxyAuthenticate, challenge)));
            }
            b"reject" => self.outcome(Err(Refusal::new(Reason::ItemNotFound))),
            _ => {
                self.respond(200, None);
                self.outcome(Ok(()));
            }
        }
        self.drain();
    }

    /// The peer answers the oldest request.
    fn respond(&mut self, status: u16, header: Option<(Name<'static>, &str)>) {
        let Some(transmit) = self.requests.pop_front() else {
            return;
        };
        let Ok(Message::Request(request)) = parse(&transmit.bytes, Framing::Stream) else {
            return;
        };
        let status = Status::new(status).expect("a status");
        let mut response = Response::to(&request, status);
        if let Some((name, value)) = header {
            response = response.with(name, value);
        }
        let mut bytes = Vec::new();
        response.print(&mut bytes);
        self.core.handle_sip_packet(sip::flow(), &bytes, self.now);
    }

    /// The XMPP side says how the oldest message ended.
    fn outcome(&mut self, outcome: Result<(), Refusal>) {
        if let Some((session, id)) = self.published.pop_front() {
            let event = Event::MessageOutcome(MessageOutcome::new(id, outcome));
            let envelope = self.far.envelope(session, event);
            self.core.handle_bus(Incoming::Envelope(envelope), self.now);
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Transmit(transmit) => {
                    sip::check_ours(&transmit);
                    check_names(&transmit);
                    if transmit.id.is_some() {
                        self.requests.push_back(transmit);
                    }
                }
                Action::Publish(envelope) => {
                    bus::check_ours(&envelope);
                    if let Event::Message(message) = &envelope.event {
                        assert!(!xmpp::mapping().serves(&message.from.host));
                        self.published
                            .push_back((envelope.session.clone(), message.id.clone()));
                    }
                }
                Action::Store(Record::Answered { status, .. }) => assert!(!status.is_provisional()),
                Action::Resolve(query) => {
                    self.core.handle_dns(query, Answer::Failed, self.now);
                }
                Action::Store(
                    Record::Spelling { .. }
                    | Record::Account { .. }
                    | Record::Approval(_)
                    | Record::Alias(_)
                    | Record::LastNumber(_),
                )
                | Action::Forget(_)
                | Action::Media(_)
                | Action::Close(_)
                | Action::CloseBus => {}
            }
        }
        self.requests.truncate(64);
        self.published.truncate(64);
    }
}

/// A peer that could smuggle a line end into a request would add a field of its choice.
fn check_names(transmit: &Transmit) {
    const OURS: [&str; 16] = [
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Max-Forwards",
        "User-Agent",
        "Content-Type",
        "Content-Language",
        "Subject",
        "Date",
        "Authorization",
        "Proxy-Authorization",
        "Accept",
        "Allow",
        "Supported",
    ];
    if let Ok(Message::Request(request)) = parse(&transmit.bytes, Framing::Stream) {
        for (name, _) in request.headers.iter() {
            assert!(OURS.contains(&name.as_str()), "{}", name.as_str());
            assert_eq!(request.headers.count(name), 1);
        }
    }
}

/// A trunk for numbers with an account, and a domain without one.
pub fn settings() -> Settings {
    let own = HostPort::parse("192.0.2.9:5060").expect("a valid host");
    let sent_by = SentBy {
        udp: own.clone(),
        tcp: own.clone(),
        tls: own.clone(),
        ws: own.clone(),
        wss: own,
    };
    let mut first = trunk("trunk", &["+*", "*"]);
    first.credentials = Some(sip::credential());
    first.split = true;
    first.trust_identity = true;
    let juliet = Address::new("juliet", "example.com").expect("a valid address");
    Settings {
        mapping: xmpp::mapping(),
        trunks: Arc::new(Trunks::new(vec![first, trunk("net", &["*@example.net"])])),
        numbers: Numbers::new([("+1555000".to_owned(), juliet)]),
        numbering: Numbering::default(),
        accounts: AccountSettings::default(),
        policy: Policy::new(None, &["+*".to_owned()], &[]).with_allowance(Allowance::unlimited()),
        emergency: Emergency::new(["112", "911"].map(str::to_owned)),
        endpoint: EndpointConfig::new(sent_by, Admission::new(|_| true)),
        message: MessageSettings {
            queue_per_destination: 4,
            ..MessageSettings::default()
        },
        call: tandem_b2bua::call::CallSettings::default(),
        nat: Default::default(),
        global_failures: true,
    }
}

fn trunk(name: &str, patterns: &[&str]) -> Trunk {
    Trunk {
        patterns: patterns
            .iter()
            .map(|text| text.parse().expect("a valid pattern"))
            .collect(),
        next_hop: Some(NextHop {
            host: Host::parse("192.0.2.1").expect("a valid host"),
            port: None,
        }),
        transport: Some(Transport::Udp),
        inbound: vec!["192.0.2.0/24".parse().expect("a valid network")],
        ..Trunk::new(name)
    }
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: UNIX_EPOCH + Duration::from_secs(1_785_585_600),
    }
}

const FAR_EPOCH: u64 = 9;
