//! Contacts that users reach by another spelling than the one answers come from (specs 10.9).
//!
//! A message to `5551234567@sip.example.com` is delivered, its answer comes from
//! `+15551234567@sip.example.com`: another conversation to every client. Users are told, once for
//! each spelling, where they wrote.

use std::collections::{HashSet, VecDeque};

use tandem_shared::address::Address;
use tandem_shared::mint;

use crate::action::{Action, Key, Record};
use crate::notice::Notice;
use crate::settings::Settings;
use crate::target::Found;

/// Who was told of which spelling, bounded; the oldest go first.
#[derive(Debug, Default)]
pub struct Aliases {
    told: HashSet<u128>,
    order: VecDeque<u128>,
    actions: VecDeque<Action>,
    notices: VecDeque<Notice>,
}

impl Aliases {
    /// Takes back what the store held.
    pub fn restore(&mut self, pair: u128) {
        if self.told.insert(pair) {
            self.order.push_back(pair);
        }
    }

    /// `from` reaches `to`, which was `found`.
    pub fn reach(&mut self, from: &Address, to: &Address, found: &Found, settings: &Settings) {
        // Only whole numbers are written in several ways; everybody else answers as was asked for.
        let own = settings.mapping.domain.as_str();
        if found.emergency || to.host != own || found.user == to.user || !is_whole(&found.user) {
            return;
        }
        let parts = [&from.user, &from.host, &to.user].map(|part| part.as_bytes());
        let pair = mint::hash(&[0; 16], &parts);
        let answering = Address {
            user: found.user.clone(),
            ..to.account()
        };
        let Ok(jid) = settings.mapping.contact_to_jid(&answering) else {
            return;
        };
        if self.told.contains(&pair) {
            return;
        }
        self.restore(pair);
        self.actions.push_back(Action::Store(Record::Alias(pair)));
        while self.order.len() > MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.told.remove(&oldest);
                self.actions.push_back(Action::Forget(Key::Alias(oldest)));
            }
        }
        self.notices.push_back(Notice {
            // Where the user looks, and where nobody else ever speaks.
            from: to.account(),
            to: from.account(),
            text: format!(
                "This number is known as {}. Answers come from xmpp:{jid}",
                found.user
            ),
            asks: None,
        });
    }

    /// The next thing to store or to forget.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing to tell somebody.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }
}

fn is_whole(user: &str) -> bool {
    user.starts_with('+')
}

/// How many are remembered.
const MAX: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::bench::Bench;
    use crate::message::request::tests::message;
    use crate::number::Numbers;
    use crate::settings::tests::settings;
    use tandem_shared::bus::SessionId;
    use tandem_shared::call::{CallEvent, CallId, Fact, Offer};
    use tandem_shared::event::Event;
    use tandem_shared::media::Media;
    use tandem_shared::message::MessageId;

    fn dialling() -> Settings {
        let mut settings = settings();
        let plan = &mut settings.numbering.plan;
        plan.country = Some("1".to_owned());
        plan.national = "1".to_owned();
        plan.bare = 10;
        settings.numbering.hide = vec!["*67".to_owned()];
        let user = |name| Address::new(name, "example.com").unwrap();
        settings.numbers = Numbers::new([
            ("+15550001".to_owned(), user("juliet")),
            ("+15550002".to_owned(), user("romeo")),
        ]);
        settings
    }

    /// `user` writes to `number`; the notices it gets, as sender, recipient and text.
    fn write(bench: &mut Bench, user: &str, number: &str) -> Vec<(String, String, String)> {
        let mut sent = message((user, "example.com"), (number, "sip.example.com"), "hello");
        sent.id = MessageId(format!("{user}{number}"));
        bench.send(sent);
        let (request, _) = bench.request();
        bench.answer(&request, 200, None);
        bench.outcomes();
        notices(bench)
    }

    fn notices(bench: &mut Bench) -> Vec<(String, String, String)> {
        let messages = bench.messages().into_iter();
        let show = |message: &tandem_shared::message::Message| {
            let (from, to) = (message.from.to_string(), message.to.to_string());
            (from, to, message.body.clone())
        };
        messages.map(|message| show(&message)).collect()
    }

    #[test]
    fn each_user_is_told_once_of_each_spelling() {
        let mut bench = Bench::with(dialling());
        assert_eq!(write(&mut bench, "juliet", "+15551234567"), []);
        assert_eq!(write(&mut bench, "juliet", "5551234567").len(), 1);
        assert_eq!(write(&mut bench, "juliet", "15551234567").len(), 1);
        let told = write(&mut bench, "romeo", "5551234567").remove(0);
        assert_eq!(
            (told.0.as_str(), told.1.as_str()),
            ("5551234567@sip.example.com", "romeo@example.com")
        );
        assert_eq!(
            told.2,
            "This number is known as +15551234567. Answers come from xmpp:+15551234567@sip.example.com"
        );
        // The same again, of which nobody is told.
        let mut again = message(
            ("romeo", "example.com"),
            ("5551234567", "sip.example.com"),
            "hello",
        );
        again.id = MessageId("again".into());
        bench.send(again);
        assert_eq!(notices(&mut bench), []);
    }

    #[test]
    fn extensions_and_addresses_answer_as_they_were_reached() {
        let mut bench = Bench::with(dialling());
        assert_eq!(write(&mut bench, "juliet", "1001"), []);
        assert_eq!(write(&mut bench, "juliet", "*671001"), []);
        let other = message(
            ("juliet", "example.com"),
            ("romeo", "pbx.example.net"),
            "hello",
        );
        bench.send(other);
        assert_eq!(notices(&mut bench), []);
    }

    #[test]
    fn a_call_tells_as_well_and_a_restart_forgets_nothing() {
        let mut bench = Bench::with(dialling());
        let call = CallId("c".into());
        let offer = Offer {
            from: Address::new("juliet", "example.com").unwrap(),
            to: Address::new("*675551234567", "sip.example.com").unwrap(),
            name: None,
            media: vec![Media::Audio],
            description: None,
            hops: 69,
        };
        let fact = Fact::Offer(Box::new(offer));
        let event = Box::new(CallEvent {
            call: call.clone(),
            fact,
        });
        bench.say(SessionId::call(&call), Event::Call(event));
        assert_eq!(notices(&mut bench).len(), 1);
        let mut rows = Vec::new();
        for action in bench.actions.drain(..) {
            if let Action::Store(row) = action {
                rows.push(row);
            }
        }
        let mut after = Bench::unlinked(dialling());
        let now = after.now;
        after.core.restore(rows, now);
        after.link();
        assert_eq!(write(&mut after, "juliet", "*675551234567"), []);
        assert_eq!(write(&mut after, "juliet", "5551234567").len(), 1);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let (mut aliases, settings) = (Aliases::default(), settings());
        let found = Found {
            trunks: Vec::new(),
            user: "+15551234567".into(),
            hidden: false,
            chosen: None,
            via: None,
            abroad: false,
            emergency: false,
        };
        let from = Address::new("juliet", "example.com").unwrap();
        for count in 0..=MAX {
            let to = Address::new(&format!("{count}"), "sip.example.com").unwrap();
            aliases.reach(&from, &to, &found, &settings);
        }
        assert_eq!((aliases.told.len(), aliases.order.len()), (MAX, MAX));
        let last = std::iter::from_fn(|| aliases.poll_action()).last();
        assert!(matches!(last, Some(Action::Forget(Key::Alias(_)))));
    }
}
