//! Two parties over a wire that loses, doubles and reorders, on a clock of our own.

use std::net::{IpAddr, SocketAddr};

use super::*;
use crate::sip::address::NameAddr;
use crate::sip::endpoint::{Admission, EndpointConfig, Event, SentBy};
use crate::sip::hop::{ConnectionId, Flow, Hop, Target, Transport};
use crate::sip::message::Message;
use crate::sip::parse::{self, Framing};
use crate::sip::uri::{HostPort, Uri};

mod calling;
mod changes;
mod ending;
mod forking;
mod hostile;
mod late_offer;
mod lossy;
mod ringing;
mod streams;
mod tables;
mod timers;

/// One party.
struct Side {
    address: IpAddr,
    endpoint: Endpoint,
    sessions: Sessions,
    mint: Mint,
    local: Local,
    /// What it does by itself.
    manners: Manners,
    heard: Vec<String>,
    /// Its session that began last, and the offers not answered yet.
    session: Option<SessionKey>,
    offers: Vec<OfferToken>,
    answers: u32,
    ended: Vec<SessionKey>,
}

/// What a party does by itself.
#[derive(Debug, Clone, Copy, Default)]
struct Manners {
    rings: bool,
    answers: bool,
    takes_offers: bool,
}

/// The wire.
#[derive(Debug, Clone, Copy)]
struct Faults {
    seed: u64,
    /// In a hundred.
    lost: u64,
    doubled: u64,
    /// Most milliseconds of extra delay.
    jitter: u64,
    /// Changed in one byte.
    spoilt: u64,
}

struct World {
    now: Instant,
    sides: Vec<Side>,
    wire: Vec<(Instant, u64, SocketAddr, SocketAddr, bytes::Bytes)>,
    sent: u64,
    faults: Faults,
    transport: Transport,
    /// Where requests were sent, one by one.
    ways: Vec<Target>,
    /// Who sent what.
    log: Vec<String>,
    /// What was sent to an address without a party.
    stray: Vec<Message>,
    /// Packets that do not arrive, by what the log says of them, and how often.
    swallow: Vec<(&'static str, u32)>,
}

fn address(side: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, u8::try_from(side).unwrap() + 1])
}

fn body(text: &str) -> Body {
    Body::sdp(text.as_bytes().to_vec())
}

fn text(body: &Body) -> String {
    String::from_utf8_lossy(&body.bytes).into_owned()
}

impl Side {
    fn new(side: usize, change: &mut impl FnMut(usize, &mut EndpointConfig, &mut Local)) -> Self {
        let address = address(side);
        let ours = HostPort::parse(&address.to_string()).unwrap();
        let sent_by = SentBy {
            udp: ours.clone(),
            tcp: ours.clone(),
            tls: ours.clone(),
            ws: ours.clone(),
            wss: ours,
        };
        let known = |source: IpAddr| source.to_string().starts_with("192.0.2.");
        let mut config = EndpointConfig::new(sent_by, Admission::new(known)).with_calls();
        let contact = Uri::parse(&format!("sip:p{side}@{address}")).unwrap();
        let mut local = Local {
            contact: NameAddr::new(contact),
            credential: None,
            reliable: false,
            timer: Wish {
                seconds: 0,
                min: 90,
            },
        };
        change(side, &mut config, &mut local);
        let seed = [u8::try_from(side).unwrap() + 7; 16];
        Self {
            address,
            endpoint: Endpoint::new(config, Mint::new(seed)),
            sessions: Sessions::default(),
            mint: Mint::new([seed[0] + 100; 16]),
            local,
            manners: Manners::default(),
            heard: Vec::new(),
            session: None,
            offers: Vec::new(),
            answers: 0,
            ended: Vec::new(),
        }
    }

    /// Hands on what the endpoint has, and what the sessions have, until nothing is left.
    fn drain(&mut self, now: Instant) {
        loop {
            let mut cx = Context {
                endpoint: &mut self.endpoint,
                mint: &mut self.mint,
                now,
            };
            if let Some(event) = cx.endpoint.poll_event() {
                if let Some(Event::Request {
                    token,
                    request,
                    source,
                }) = self.sessions.handle(event, &mut cx)
                {
                    let local = self.local.clone();
                    let taken = self.sessions.take(token, request, source, local, &mut cx);
                    self.session = taken.or(self.session);
                }
            } else if let Some((key, event)) = self.sessions.poll_event() {
                self.hear(key, event, now);
            } else {
                return;
            }
        }
    }

    fn hear(&mut self, key: SessionKey, event: SessionEvent, now: Instant) {
        self.heard.push(show(&event));
        let silent = !self.ended.contains(&key);
        assert!(silent, "something after the end: {:?}", self.heard);
        if is_end(&event) {
            self.ended.push(key);
        }
        let manners = self.manners;
        let mut cx = Context {
            endpoint: &mut self.endpoint,
            mint: &mut self.mint,
            now,
        };
        self.answers += 1;
        let name = format!(
            "a{}{}",
            self.address.to_string().pop().unwrap(),
            self.answers
        );
        if let SessionEvent::Invited { .. } = event {
            self.sessions.with(key, &mut cx, |session, cx| {
                if manners.rings {
                    session.ring(Status::RINGING, None, cx);
                }
                if manners.answers {
                    session.answer(Some(body(&name)), cx);
                }
            });
        } else if let SessionEvent::Offer { token, .. } | SessionEvent::OfferWanted { token } =
            event
        {
            if manners.takes_offers {
                self.sessions.with(key, &mut cx, |session, cx| {
                    session.respond_offer(token, Ok(body(&name)), cx);
                });
            } else {
                self.offers.push(token);
            }
        } else if let SessionEvent::Request { token, request } = event {
            respond(token, &request, Status::OK, &mut cx);
        }
    }

    fn due(&self) -> Option<Instant> {
        let both = [self.endpoint.poll_timeout(), self.sessions.poll_timeout()];
        both.into_iter().flatten().min()
    }
}

fn is_end(event: &SessionEvent) -> bool {
    matches!(
        event,
        SessionEvent::Ended { .. }
            | SessionEvent::Refused { .. }
            | SessionEvent::Failed { .. }
            | SessionEvent::Redirected { .. }
    )
}

fn show(event: &SessionEvent) -> String {
    let maybe = |body: &Option<Body>| body.as_ref().map_or("-".to_owned(), text);
    match event {
        SessionEvent::Invited { offer } => format!("invited {}", maybe(offer)),
        SessionEvent::Progress { status, fork } => format!("progress {status}#{}", fork.0),
        SessionEvent::EarlyAnswer {
            fork,
            body,
            reliable,
        } => {
            let how = if *reliable { "reliable" } else { "preview" };
            format!("early {}#{} {how}", text(body), fork.0)
        }
        SessionEvent::Answered { fork, answer } => {
            format!("answered {}#{}", maybe(answer), fork.0)
        }
        SessionEvent::Established => "established".to_owned(),
        SessionEvent::Offer { body, .. } => format!("offer {}", text(body)),
        SessionEvent::OfferWanted { .. } => "offer wanted".to_owned(),
        SessionEvent::OfferWithdrawn { .. } => "offer withdrawn".to_owned(),
        SessionEvent::Answer { body, refresh } => {
            format!(
                "answer {}{}",
                text(body),
                if *refresh { " again" } else { "" }
            )
        }
        SessionEvent::OfferRefused { status } => format!("offer refused {status}"),
        SessionEvent::Request { request, .. } => format!("request {}", request.method),
        SessionEvent::Response { status, .. } => {
            format!("response {}", status.map_or(0, Status::code))
        }
        SessionEvent::Redirected { response } => format!("redirected {}", response.status),
        SessionEvent::Refused { response } => format!("refused {}", response.status),
        SessionEvent::Failed { failure } => format!("failed {failure:?}"),
        SessionEvent::Ended { end, reasons } => {
            let reasons: Vec<_> = reasons.iter().map(|reason| format!(" {reason}")).collect();
            format!("ended {end:?}{}", reasons.concat())
        }
    }
}

impl World {
    fn new() -> Self {
        Self::with(|_, _, _| {})
    }

    fn with(mut change: impl FnMut(usize, &mut EndpointConfig, &mut Local)) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        Self {
            now,
            sides: (0..2).map(|side| Side::new(side, &mut change)).collect(),
            wire: Vec::new(),
            sent: 0,
            faults: Faults {
                seed: 1,
                lost: 0,
                doubled: 0,
                jitter: 0,
                spoilt: 0,
            },
            transport: Transport::Udp,
            ways: Vec::new(),
            log: Vec::new(),
            stray: Vec::new(),
            swallow: Vec::new(),
        }
    }

    /// The called side rings and answers by itself.
    fn polite() -> Self {
        let mut world = Self::new();
        world.sides[1].manners = Manners {
            rings: true,
            answers: true,
            takes_offers: true,
        };
        world
    }

    /// A call that is up.
    fn up() -> Self {
        Self::up_with(|_, _, _| {})
    }

    fn up_with(change: impl FnMut(usize, &mut EndpointConfig, &mut Local)) -> Self {
        let mut world = Self::with(change);
        world.sides[1].manners.answers = true;
        world.call(Some("o1"));
        world.run(100);
        world.sides[1].manners.answers = false;
        world.hear();
        world.log.clear();
        world
    }

    fn call(&mut self, offer: Option<&str>) {
        self.call_to(address(1), offer);
    }

    fn call_to(&mut self, to: IpAddr, offer: Option<&str>) {
        let call = Outgoing {
            uri: Uri::parse(&format!("sip:b@{to}")).unwrap(),
            from: NameAddr::parse("<sip:a@tandem.example>").unwrap(),
            to: NameAddr::parse("<sip:b@far.example>").unwrap(),
            call_id: None,
            max_forwards: 40,
            target: Target::Hop(Hop {
                host: to.into(),
                port: 5060,
                transport: self.transport,
                server_name: None,
                profile: Default::default(),
            }),
            headers: Headers::new(),
            offer: offer.map(body),
        };
        let now = self.now;
        let side = &mut self.sides[0];
        let mut cx = Context {
            endpoint: &mut side.endpoint,
            mint: &mut side.mint,
            now,
        };
        let local = side.local.clone();
        side.session = Some(side.sessions.call(call, local, &mut cx));
        self.settle(0);
    }

    /// Lets the last session of a side do something.
    fn act(&mut self, side: usize, work: impl FnOnce(&mut Session, &mut Context<'_>)) {
        let now = self.now;
        let actor = &mut self.sides[side];
        let mut cx = Context {
            endpoint: &mut actor.endpoint,
            mint: &mut actor.mint,
            now,
        };
        let key = actor.session.unwrap();
        actor.sessions.with(key, &mut cx, work);
        self.settle(side);
    }

    /// Answers the oldest open offer of a side.
    fn reply(&mut self, side: usize, reply: Result<Body, Status>) {
        let token = self.sides[side].offers.remove(0);
        self.act(side, |session, cx| session.respond_offer(token, reply, cx));
    }

    /// What both sides heard since the last look.
    fn hear(&mut self) -> [Vec<String>; 2] {
        [0, 1].map(|side| std::mem::take(&mut self.sides[side].heard))
    }

    fn heard(&mut self, side: usize) -> Vec<String> {
        std::mem::take(&mut self.sides[side].heard)
    }

    /// How often a packet was sent.
    fn count(&self, what: &str) -> usize {
        self.log.iter().filter(|line| *line == what).count()
    }

    fn random(&mut self, below: u64) -> u64 {
        self.faults.seed = self
            .faults
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.faults.seed >> 33) % below
    }

    /// Puts on the wire what a side has to send.
    fn settle(&mut self, side: usize) {
        let now = self.now;
        self.sides[side].drain(now);
        let from = SocketAddr::new(address(side), 5060);
        while let Some(transmit) = self.sides[side].endpoint.poll_transmit() {
            let to = match &transmit.target {
                Target::Hop(hop) => SocketAddr::new(hop.host.ip().unwrap(), hop.port),
                Target::Flow { flow, .. } => flow.peer(),
            };
            let line = describe(&transmit.bytes);
            if !line.starts_with(|first: char| first.is_ascii_digit()) {
                self.ways.push(transmit.target.clone());
            }
            self.log.push(format!("{side} {line}"));
            let line = self.log.last().unwrap();
            let swallowed = self
                .swallow
                .iter_mut()
                .find(|(what, left)| *left > 0 && what == line);
            if let Some((_, left)) = swallowed {
                *left -= 1;
                continue;
            }
            let faults = self.faults;
            let copies = match (
                self.random(100) < faults.lost,
                self.random(100) < faults.doubled,
            ) {
                (true, _) => 0,
                (false, true) => 2,
                (false, false) => 1,
            };
            for _ in 0..copies {
                let delay = 5 + self.random(faults.jitter + 1);
                self.sent += 1;
                let at = self.now + Duration::from_millis(delay);
                let mut bytes = transmit.bytes.to_vec();
                if self.random(100) < faults.spoilt {
                    let length = u64::try_from(bytes.len()).unwrap();
                    let at = usize::try_from(self.random(length)).unwrap();
                    bytes[at] = u8::try_from(self.random(256)).unwrap();
                }
                let packet = (at, self.sent, from, to, bytes.into());
                self.wire.push(packet);
            }
        }
    }

    /// Lets time pass, packet by packet and timer by timer.
    fn run(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        for _ in 0..1_000_000 {
            let packet = self.wire.iter().map(|(at, ..)| *at).min();
            let timers = self.sides.iter().filter_map(Side::due).min();
            let next = packet.into_iter().chain(timers).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            let first = self
                .wire
                .iter()
                .enumerate()
                .min_by_key(|(_, (at, number, ..))| (*at, *number));
            if let Some((index, _)) = first.filter(|(_, (at, ..))| *at <= self.now) {
                let (_, _, from, to, bytes) = self.wire.swap_remove(index);
                self.arrive(from, to, &bytes);
            } else {
                for side in 0..self.sides.len() {
                    self.wake(side);
                }
            }
        }
        panic!("time stands still");
    }

    fn wake(&mut self, side: usize) {
        let now = self.now;
        let actor = &mut self.sides[side];
        actor.endpoint.handle_timeout(now);
        let mut cx = Context {
            endpoint: &mut actor.endpoint,
            mint: &mut actor.mint,
            now,
        };
        actor.sessions.handle_timeout(&mut cx);
        self.settle(side);
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now;
        let side = self.sides.iter().position(|side| side.address == to.ip());
        let Some(side) = side else {
            self.stray.extend(parse::parse(bytes, Framing::Datagram));
            return;
        };
        let flow = match self.transport {
            Transport::Udp => Flow::Udp {
                socket: 0,
                peer: from,
            },
            transport @ (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss) => {
                Flow::Stream {
                    connection: ConnectionId(9),
                    transport,
                    peer: from,
                }
            }
        };
        self.sides[side].endpoint.handle_packet(flow, bytes, now);
        self.settle(side);
    }

    /// A packet from an address without a party.
    fn inject(&mut self, from: IpAddr, to: usize, message: &Message) {
        let mut bytes = Vec::new();
        message.print(&mut bytes);
        let from = SocketAddr::new(from, 5060);
        let to = SocketAddr::new(address(to), 5060);
        self.arrive(from, to, &bytes);
    }

    /// After everything is over nothing is left: no session, no transaction, no timer.
    fn finish(mut self) {
        self.run(600_000);
        for (number, side) in self.sides.iter().enumerate() {
            assert!(side.sessions.is_empty(), "side {number} keeps a session");
            assert_eq!(side.sessions.held(), 0, "side {number}");
            assert_eq!(side.endpoint.held(), 0, "side {number}");
            assert_eq!(side.due(), None, "side {number} keeps a timer");
        }
    }
}

fn describe(bytes: &[u8]) -> String {
    match parse::parse(bytes, Framing::Datagram) {
        Ok(Message::Request(request)) => request.method.to_string(),
        Ok(Message::Response(response)) => {
            let method = response.cseq().map(|cseq| cseq.method.to_string());
            format!("{} {}", response.status, method.unwrap_or_default())
        }
        Err(_) => panic!("nobody can read this"),
    }
}
