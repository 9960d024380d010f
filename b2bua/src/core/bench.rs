//! A core on a virtual clock, with hands for both its sides.

use super::*;
use crate::settings::tests::settings;
use crate::sip::Message as SipMessage;
use crate::sip::Request;
use crate::sip::hop::{Target, Transmit};
use crate::sip::parse::{self, Framing};
use std::time::{Duration, UNIX_EPOCH};
use tandem_shared::bus::Envelope;
use tandem_shared::call::CallId;
use tandem_shared::event::{Control, Hello};
use tandem_shared::message::Message;

pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) now: Now,
    pub(crate) actions: Vec<Action>,
    /// The call that was told of last.
    pub(crate) called: CallId,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    /// A core that is linked to its peer.
    pub(crate) fn with(settings: Settings) -> Self {
        let mut bench = Self::unlinked(settings);
        bench.link();
        bench
    }

    pub(crate) fn unlinked(settings: Settings) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let instant = Instant::now();
        let wall = UNIX_EPOCH + Duration::from_millis(1_289_690_940_000);
        let mut settings = settings;
        settings.endpoint = settings.endpoint.with_calls();
        Self {
            core: Core::new(settings, Mint::new([1; 16]), [7; 16], 1),
            now: Now { instant, wall },
            actions: Vec::new(),
            called: CallId(String::new()),
        }
    }

    pub(crate) fn link(&mut self) {
        self.core.handle_bus(Incoming::Connected, self.now);
        self.greet();
        self.actions.clear();
    }

    /// The component says hello.
    pub(crate) fn greet(&mut self) {
        let mapping = settings().mapping.digests();
        let hello = Hello {
            answer: false,
            versions: vec![1],
            mapping,
        };
        self.say(
            SessionId::control(),
            BusEvent::Control(Control::Hello(hello)),
        );
    }

    pub(crate) fn say(&mut self, session: SessionId, event: BusEvent) {
        let envelope = Envelope {
            version: 1,
            from: NodeId("component".into()),
            to: NodeId::default(),
            epoch: 9,
            session,
            event,
        };
        self.core
            .handle_bus(Incoming::Envelope(Box::new(envelope)), self.now);
        self.drain();
    }

    pub(crate) fn send(&mut self, message: Message) {
        let session = SessionId::conversation(&message.from, &message.to);
        self.say(session, BusEvent::Message(Box::new(message)));
    }

    /// Lets time pass, timers firing on the way.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now.instant + Duration::from_secs(seconds);
        while let Some(at) = self.core.poll_timeout().filter(|at| *at <= end) {
            let step = at.saturating_duration_since(self.now.instant);
            self.now = Now {
                instant: self.now.instant + step,
                wall: self.now.wall + step,
            };
            self.core.handle_timeout(self.now);
            self.drain();
            // The peer is alive whatever else happens.
            self.core.handle_bus(heartbeat(), self.now);
        }
        let step = end.saturating_duration_since(self.now.instant);
        self.now = Now {
            instant: end,
            wall: self.now.wall + step,
        };
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.core.poll_action() {
            self.actions.push(action);
        }
    }

    /// The requests sent since the last look, retransmissions left out, with their transmits.
    pub(crate) fn requests(&mut self) -> Vec<(Request, Transmit)> {
        let mut found: Vec<(Request, Transmit)> = Vec::new();
        self.actions.retain(|action| {
            let Action::Transmit(transmit) = action else {
                return true;
            };
            match parse::parse(&transmit.bytes, Framing::Stream) {
                Ok(SipMessage::Request(request)) => {
                    if !found.iter().any(|(_, other)| other.bytes == transmit.bytes) {
                        found.push((request, transmit.clone()));
                    }
                    false
                }
                _ => true,
            }
        });
        found
    }

    /// The only request sent since the last look.
    pub(crate) fn request(&mut self) -> (Request, Transmit) {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// The outcomes told since the last look, as reason or nothing.
    pub(crate) fn outcomes(&mut self) -> Vec<(String, Option<tandem_shared::refusal::Refusal>)> {
        let mut found = Vec::new();
        self.actions.retain(|action| {
            if let Action::Publish(envelope) = action
                && let BusEvent::MessageOutcome(outcome) = &envelope.event
            {
                found.push((outcome.id.0.clone(), outcome.refusal.clone()));
                return false;
            }
            true
        });
        found
    }

    /// The messages published since the last look.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        let mut found = Vec::new();
        self.actions.retain(|action| {
            if let Action::Publish(envelope) = action
                && let BusEvent::Message(message) = &envelope.event
            {
                found.push(Message::clone(message));
                return false;
            }
            true
        });
        found
    }

    /// The responses sent since the last look: code and the rest.
    pub(crate) fn responses(&mut self) -> Vec<Response> {
        let mut found = Vec::new();
        self.actions.retain(|action| {
            let Action::Transmit(transmit) = action else {
                return true;
            };
            match parse::parse(&transmit.bytes, Framing::Stream) {
                Ok(SipMessage::Response(response)) => {
                    found.push(response);
                    false
                }
                _ => true,
            }
        });
        found
    }

    pub(crate) fn codes(&mut self) -> Vec<u16> {
        self.responses()
            .iter()
            .map(|response| response.status.code())
            .collect()
    }

    /// Answers a request we sent.
    pub(crate) fn answer(&mut self, request: &Request, code: u16, header: Option<(&str, &str)>) {
        let mut response = Response::to(request, Status::new(code).unwrap());
        if let Some((name, value)) = header {
            response = response.with(name, value);
        }
        let mut bytes = Vec::new();
        response.print(&mut bytes);
        self.packet("192.0.2.1:5060", &bytes);
    }

    pub(crate) fn packet(&mut self, peer: &str, bytes: &[u8]) {
        let flow = Flow::Udp {
            socket: 0,
            peer: peer.parse().unwrap(),
        };
        self.core.handle_sip_packet(flow, bytes, self.now);
        self.drain();
    }

    /// The sockets could not send it.
    pub(crate) fn fail(&mut self, transmit: &Transmit) {
        self.core
            .handle_sip_send_failed(transmit.id.unwrap(), NotSent::Connect, self.now);
        self.drain();
    }
}

/// The host and transport a transmit goes to.
pub(crate) fn hop(transmit: &Transmit) -> String {
    match &transmit.target {
        Target::Hop(hop) => format!("{} {}:{}", hop.transport.as_str(), hop.host, hop.port),
        Target::Flow { .. } => "flow".into(),
    }
}

fn heartbeat() -> Incoming {
    Incoming::Envelope(Box::new(Envelope {
        version: 1,
        from: NodeId("component".into()),
        to: NodeId::default(),
        epoch: 9,
        session: SessionId::control(),
        event: BusEvent::Control(Control::Heartbeat),
    }))
}
