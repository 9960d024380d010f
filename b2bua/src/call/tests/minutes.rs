//! How long users talk a day: counted while calls last, shared by all of a user, and by all users (specs T1).

use super::*;
use crate::policy::Allowance;

/// A gateway whose users may talk for so many minutes a day, each and together, and as long as they like at once.
fn with_minutes(each: u32, all: u32) -> Bench {
    let mut settings = settings();
    settings.call.longest = None;
    settings.policy = settings.policy.with_allowance(Allowance {
        user_minutes: each,
        all_minutes: all,
        ..Allowance::unlimited()
    });
    Bench::with(settings)
}

impl Bench {
    /// A call of this user is answered by a phone; the INVITE it got.
    fn talk(&mut self, call: &str, user: &str) -> Request {
        let id = CallId(call.into());
        let _ = (self.commands(), self.requests());
        let Fact::Offer(mut offer) = offer(Some(description("x", Setup::Actpass))) else {
            panic!("an offer");
        };
        offer.from = address(user, "example.com");
        self.fact_of(&id, Fact::Offer(offer));
        self.open_media();
        let (invite, _) = self.request();
        self.respond(&invite, 200, PCMU);
        self.commands();
        assert_eq!(end_of(&self.facts()), None);
        invite
    }

    /// Why a call of this user is refused.
    fn refused(&mut self, call: &str, user: &str) -> String {
        let Fact::Offer(mut offer) = offer(None) else {
            panic!("an offer");
        };
        offer.from = address(user, "example.com");
        self.fact_of(&CallId(call.into()), Fact::Offer(offer));
        self.words()
    }

    /// What was said about the only call that ended since the last look.
    fn words(&mut self) -> String {
        let facts = self.facts();
        let mut ends = facts.iter().filter_map(|fact| {
            let Fact::End(end) = fact else {
                return None;
            };
            end.text.clone()
        });
        let (only, None) = (ends.next().unwrap_or_default(), ends.next()) else {
            panic!("{facts:?}");
        };
        only
    }
}

#[test]
fn a_call_ends_when_the_minutes_of_the_day_are_used_up() {
    let mut bench = with_minutes(10, 0);
    bench.talk("a", "juliet");
    bench.pass(590);
    assert_eq!(end_of(&bench.facts()), None);
    bench.requests();
    bench.pass(20);
    assert!(bench.words().contains("day"));
    let said = bench.requests();
    let said: Vec<_> = said.iter().map(|(request, _)| &request.method).collect();
    assert_eq!(said, [&Method::Bye]);
    assert!(bench.refused("b", "juliet").contains("day"));
    // Some seconds come back in ten minutes: they are all the next call has.
    bench.pass(600);
    bench.talk("c", "juliet");
    bench.pass(10);
    assert!(bench.words().contains("day"));
    assert!(bench.refused("d", "juliet").contains("day"));
    bench.talk("e", "romeo");
}

/// What comes back while a call lasts is its too: where a day allows all its minutes, none ends it.
#[test]
fn minutes_come_back_while_calls_last() {
    let mut bench = with_minutes(1440, 0);
    bench.talk("a", "juliet");
    bench.pass(2 * 24 * 3600);
    assert_eq!(end_of(&bench.facts()), None);
}

/// A call that rings while another one uses up the day ends when it is answered.
#[test]
fn who_answers_too_late_hears_no_more_than_an_end() {
    let mut bench = with_minutes(10, 0);
    bench.talk("a", "juliet");
    bench.pass(590);
    let Fact::Offer(mut offer) = offer(Some(description("x", Setup::Actpass))) else {
        panic!("an offer");
    };
    offer.from = address("juliet", "example.com");
    bench.requests();
    bench.fact_of(&CallId("b".into()), Fact::Offer(offer));
    bench.open_media();
    let (invite, _) = bench.request();
    bench.pass(20);
    assert!(bench.words().contains("day"));
    bench.requests();
    bench.respond(&invite, 200, PCMU);
    assert!(bench.words().contains("day"));
    let said = bench.requests();
    let said: Vec<_> = said.iter().map(|(request, _)| &request.method).collect();
    assert_eq!(said, [&Method::Ack, &Method::Bye]);
}

/// Who takes somebody's place in a call begins no new one (RFC 3891): what it lasted counts.
#[test]
fn a_call_that_is_taken_over_lasts_on() {
    let mut bench = with_minutes(10, 0);
    let ours = bench.talk("a", "juliet");
    bench.pass(55);
    let _ = (bench.requests(), bench.facts());
    let taking = replacing("b", &ours, PCMU, "");
    bench.packet(PEER, &taking);
    let [accepted] = &bench.responses()[..] else {
        panic!("an answer");
    };
    assert_eq!(accepted.status, Status::OK);
    let tag = accepted
        .headers
        .get("To")
        .unwrap()
        .split_once(";tag=")
        .unwrap()
        .1;
    let ack = String::from_utf8(taking).unwrap();
    let ack = ack.replace("INVITE", "ACK").replace(
        "To: <sip:juliet%40example.com@sip.example.com>",
        &format!("To: <sip:juliet%40example.com@sip.example.com>;tag={tag}"),
    );
    bench.packet(
        PEER,
        ack.replace(";branch=z9hG4bKb", ";branch=z9hG4bKack")
            .as_bytes(),
    );
    bench.pass(530);
    assert_eq!(end_of(&bench.facts()), None);
    bench.pass(30);
    assert!(bench.words().contains("day"));
}

/// Two calls at the same time of these users have used up ten minutes and ended.
fn shared(mut bench: Bench, users: [&str; 2]) -> Bench {
    bench.talk("a", users[0]);
    bench.talk("b", users[1]);
    bench.pass(290);
    assert_eq!(end_of(&bench.facts()), None);
    bench.pass(80);
    let ends = bench.facts();
    let ends = ends.iter().filter(|fact| matches!(fact, Fact::End(_)));
    assert_eq!(ends.count(), 2);
    bench
}

/// What is left is not given to each of two calls.
#[test]
fn calls_at_once_share_the_minutes_of_the_day() {
    let mut bench = shared(with_minutes(10, 0), ["juliet", "juliet"]);
    assert!(bench.refused("c", "juliet").contains("day"));
}

/// The minutes of everybody end calls too, and nobody begins another.
#[test]
fn calls_of_all_users_share_the_minutes_of_all() {
    let mut bench = shared(with_minutes(0, 10), ["juliet", "romeo"]);
    assert!(bench.refused("c", "nurse").contains("here"));
}
