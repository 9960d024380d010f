//! The whole component: any stanza, any envelope of a hostile peer, any time (specs Z07).

use std::collections::VecDeque;
use std::time::{Duration, Instant, UNIX_EPOCH};

use jid::Jid;
use minidom::Element;
use tandem_component::action::Action;
use tandem_component::clock::Now;
use tandem_component::config::Config;
use tandem_component::core::Core;
use tandem_component::stream::Defect;
use tandem_component::xml;
use tandem_shared::bus::link::Link;
use tandem_shared::bus::{Envelope, Incoming, NodeId, SessionId};
use tandem_shared::event::{Control, Event, Hello};
use tandem_shared::mint::Mint;

use super::script::{Step, steps};
use super::{bus, xmpp};

/// Runs a script. Nothing in it makes the component panic, speak from a foreign domain, write a
/// stanza that is not well-formed, answer an error with an error, or hold more than it may.
pub fn core(data: &[u8]) {
    let mut bench = Bench::new();
    bench.happen(b"open");
    bench.happen(b"up");
    for step in steps(data) {
        match step {
            Step::Envelope(json) => bench.envelope(json),
            Step::Pass(time) => bench.pass(time),
            Step::Happens(event) => bench.happen(event),
            Step::Bytes(bytes) => bench.stanzas(bytes),
        }
    }
}

struct Bench {
    core: Core,
    now: Now,
    far: Link,
    pings: VecDeque<String>,
}

impl Bench {
    fn new() -> Self {
        let text = r#"{"mapping":{"domain":"sip.example.com","user_domains":["example.com","bücher.example"]},
            "xmpp":{"ping":"example.com"},"message":{"outbox_max":8,"inbox_max":4}}"#;
        let config: Config = serde_json::from_str(text).expect("the configuration is valid");
        let config = config.normalised().expect("the configuration is valid");
        let now = Now {
            instant: Instant::now(),
            wall: UNIX_EPOCH + Duration::from_secs(1_785_585_600),
        };
        let far = Link::new(
            NodeId("far".to_owned()),
            FAR_EPOCH,
            config.mapping.digests(),
        );
        let core = Core::new(config, Mint::new([1; 16]), 1, now).expect("the domains are JIDs");
        Self {
            core,
            now,
            far,
            pings: VecDeque::new(),
        }
    }

    fn envelope(&mut self, json: &[u8]) {
        let Ok(mut envelope) = serde_json::from_slice::<Envelope>(json) else {
            return;
        };
        envelope.epoch = FAR_EPOCH;
        self.core
            .handle_bus(Incoming::Envelope(Box::new(envelope)), self.now);
        self.drain(false);
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.wall += time;
        self.core.handle_timeout(self.now);
        self.drain(false);
    }

    fn happen(&mut self, event: &[u8]) {
        match event {
            b"open" => self.core.handle_stream_opened(self.now),
            b"close" => self.core.handle_stream_closed(self.now),
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
            b"deep" => {
                let tag = "<message xmlns='jabber:component:accept' from='juliet@example.com/b' to='1@sip.example.com'/>";
                if let Some(tag) = xmpp::stanzas(tag.as_bytes()).first() {
                    self.core.handle_skipped(tag, Defect::TooDeep, self.now);
                }
            }
            _ => self.answer(),
        }
        self.drain(false);
    }

    /// The server answers every ping.
    fn answer(&mut self) {
        for id in std::mem::take(&mut self.pings) {
            let text =
                format!("<iq from='example.com' to='sip.example.com' type='result' id='{id}'/>");
            for stanza in xmpp::stanzas(text.as_bytes()) {
                self.core.handle_stanza(&stanza, self.now);
            }
        }
    }

    fn stanzas(&mut self, bytes: &[u8]) {
        // A server hands over nothing that is addressed to somebody else.
        let ours = |stanza: &Element| {
            let to = stanza.attr("to").and_then(|to| Jid::new(to).ok());
            to.is_none_or(|to| to.domain().as_str() == "sip.example.com")
        };
        for stanza in xmpp::stanzas(bytes).into_iter().filter(ours) {
            let silent = matches!(stanza.attr("type"), Some("error"));
            self.core.handle_stanza(&stanza, self.now);
            self.drain(silent);
        }
    }

    /// Checks everything the core wants done; with `silent`, that no error is among it.
    fn drain(&mut self, silent: bool) {
        self.core.handle_bus_room(8);
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Send(stanza) => {
                    xmpp::check_ours(&stanza);
                    assert!(!silent || stanza.attr("type") != Some("error"));
                    if stanza.has_child("ping", xml::PING) {
                        self.pings.extend(stanza.attr("id").map(str::to_owned));
                    }
                }
                Action::Publish(envelope) => {
                    bus::check_ours(&envelope);
                    if let Event::Message(message) = &envelope.event {
                        assert!(xmpp::mapping().serves(&message.from.host));
                    }
                }
                Action::Store(_) | Action::Forget(_) | Action::CloseStream | Action::CloseBus => {}
            }
        }
        let (outbox, inbox, _) = self.core.held();
        assert!(outbox <= 8 && inbox <= 4);
        self.pings.truncate(64);
        // A deadline in the past would make the owner spin.
        self.core.handle_timeout(self.now);
        while self.core.poll_action().is_some() {}
        assert!(
            self.core
                .poll_timeout()
                .is_none_or(|due| due > self.now.instant)
        );
    }
}

const FAR_EPOCH: u64 = 9;
