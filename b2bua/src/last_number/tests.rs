use std::sync::Arc;

use super::*;
use crate::core::bench::{Bench, hop};
use crate::message::request::tests::message;
use crate::number::{Numbers, Owner, Row};
use crate::settings::tests::settings;
use crate::trunk::tests::trunk;
use crate::trunk::{Identity, Trunks};
use tandem_shared::message::MessageId;

fn user(name: &str) -> Address {
    Address::new(name, "example.com").unwrap()
}

fn row(number: &str, name: &str, outgoing: bool) -> Row {
    Row {
        number: number.into(),
        owner: Owner::User(user(name)),
        hidden: false,
        outgoing,
        select: String::new(),
        country: None,
    }
}

/// Juliet has two numbers, a block, and one she shares with romeo.
fn several() -> Settings {
    let mut settings = settings();
    settings.numbers = Numbers::with_rows([
        row("+15550001", "juliet", true),
        row("+15550002", "juliet", true),
        row("+1666*", "juliet", true),
        row("+15550003", "juliet", false),
        row("+15550003", "romeo", false),
        row("+15550009", "romeo", true),
    ]);
    settings
}

/// `from` writes to one of our numbers.
fn hear(bench: &mut Bench, peer: &str, number: &str, from: &str) {
    let id = format!("{number}{from}{:?}", bench.now.instant);
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let request = format!(
        "MESSAGE sip:{number}@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bK{id}\r\n\
        From: <sip:{from}>;tag={id}\r\nTo: <sip:{number}@198.51.100.1>\r\nCall-ID: {id}\r\n\
        CSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    );
    bench.packet(peer, request.as_bytes());
    assert!(!bench.messages().is_empty(), "{:?}", bench.codes());
}

/// By which number `name` is known to `to`, and where that went.
fn write(bench: &mut Bench, name: &str, (to, host): (&str, &str)) -> (String, String) {
    let id = format!("{name} {to} {:?}", bench.now.instant);
    let mut sent = message((name, "example.com"), (to, host), "hello");
    sent.id = MessageId(id);
    bench.send(sent);
    let (request, transmit) = bench.request();
    bench.answer(&request, 200, None);
    bench.outcomes();
    bench.pass(1);
    let from = request.headers.get("From").unwrap();
    let number = from.split(['@', ':']).nth(1).unwrap();
    (number.to_owned(), hop(&transmit))
}

fn number(bench: &mut Bench, name: &str, to: &str) -> String {
    write(bench, name, (to, "sip.example.com")).0
}

#[test]
fn an_answer_goes_out_by_the_number_that_was_written_to() {
    let mut bench = Bench::with(several());
    let peer = "192.0.2.1:5060";
    assert_eq!(number(&mut bench, "juliet", "+15559001"), "+15550001");
    hear(&mut bench, peer, "+15550002", "+15559001@192.0.2.1");
    assert_eq!(number(&mut bench, "juliet", "+15559001"), "+15550002");
    assert_eq!(number(&mut bench, "juliet", "+15559002"), "+15550001");
    assert_eq!(number(&mut bench, "romeo", "+15559001"), "+15550009");
    hear(&mut bench, peer, "+16667001", "+15559001@192.0.2.1");
    assert_eq!(number(&mut bench, "juliet", "+15559001"), "+16667001");
    // A shared number is nobody's to be known by, unless the admin says so.
    hear(&mut bench, peer, "+15550003", "+15559001@192.0.2.1");
    assert_eq!(number(&mut bench, "juliet", "+15559001"), "+15550001");
    assert_eq!(number(&mut bench, "romeo", "+15559001"), "+15550009");
}

/// What comes by a user's own account says nothing about the numbers of the configuration.
#[test]
fn only_trunks_of_the_admin_are_believed() {
    let (mut last, mut actions) = (LastNumbers::default(), VecDeque::new());
    let (settings, juliet) = (several(), user("juliet"));
    let uri = crate::sip::Uri::parse("sip:+15550002@198.51.100.1").unwrap();
    let request = Request::new(crate::sip::Method::Message, uri);
    let contact = Address::new("+15559001", "sip.example.com").unwrap();
    let mut by = trunk("t", &["+*"], None);
    by.owner = Some(juliet.clone());
    let parties = (&juliet, &contact);
    last.hear(parties, &request, &by, &settings, &mut actions);
    assert!(last.rows.is_empty() && actions.is_empty());
    by.owner = None;
    last.hear(parties, &request, &by, &settings, &mut actions);
    assert_eq!((last.rows.len(), actions.len()), (1, 1));
}

/// Its provider knows a number, the others' perhaps not.
#[test]
fn the_trunk_of_the_number_is_asked_first() {
    let mut settings = several();
    let at = |name: &str, priority, ip: &str| {
        let mut trunk = trunk(name, &["+*"], Some(ip));
        trunk.identity = Identity::Number;
        trunk.priority = priority;
        trunk.inbound = vec![format!("{ip}/32").parse().unwrap()];
        trunk
    };
    let trunks = vec![at("a", 0, "192.0.2.1"), at("b", 1, "192.0.2.9")];
    settings.trunks = Arc::new(Trunks::new(trunks));
    let mut bench = Bench::with(settings);
    let usual = ("+15550001".to_owned(), "UDP 192.0.2.1:5060".to_owned());
    let to = ("+15559001", "sip.example.com");
    assert_eq!(write(&mut bench, "juliet", to), usual);
    hear(
        &mut bench,
        "192.0.2.9:5060",
        "+15550002",
        "+15559001@192.0.2.9",
    );
    let other = ("+15550002".to_owned(), "UDP 192.0.2.9:5060".to_owned());
    assert_eq!(write(&mut bench, "juliet", to), other);
    let to = ("+15559002", "sip.example.com");
    assert_eq!(write(&mut bench, "juliet", to), usual);
}

#[test]
fn a_restart_forgets_nothing_and_a_year_does() {
    let mut bench = Bench::with(several());
    hear(
        &mut bench,
        "192.0.2.1:5060",
        "+15550002",
        "+15559001@192.0.2.1",
    );
    let rows = |bench: &mut Bench| -> Vec<Record> {
        let mut stored = Vec::new();
        for action in bench.actions.drain(..) {
            if let Action::Store(row @ Record::LastNumber(_)) = action {
                stored.push(row);
            }
        }
        stored
    };
    let stored = rows(&mut bench);
    assert_eq!(stored.len(), 1);
    // The same again is no other row.
    bench.pass(1);
    hear(
        &mut bench,
        "192.0.2.1:5060",
        "+15550002",
        "+15559001@192.0.2.1",
    );
    assert_eq!(rows(&mut bench), []);
    let mut after = Bench::unlinked(several());
    let now = after.now;
    after.core.restore(stored, now);
    after.link();
    assert_eq!(number(&mut after, "juliet", "+15559001"), "+15550002");
    after.now.wall += std::time::Duration::from_secs(366 * 24 * 3600);
    assert_eq!(number(&mut after, "juliet", "+15559001"), "+15550001");
}

#[test]
fn the_oldest_are_forgotten() {
    let (mut last, mut actions) = (LastNumbers::default(), VecDeque::new());
    let settings = several();
    let uri = crate::sip::Uri::parse("sip:+15550002@198.51.100.1").unwrap();
    let request = Request::new(crate::sip::Method::Message, uri);
    let (by, juliet) = (trunk("t", &["+*"], None), user("juliet"));
    let mut hear = |last: &mut LastNumbers, count: usize| {
        let contact = Address::new(&format!("+1999{count}"), "sip.example.com").unwrap();
        last.hear((&juliet, &contact), &request, &by, &settings, &mut actions);
    };
    for count in 0..MAX {
        last.set_time(i64::try_from(count).unwrap() / 1000 * DAY_MS);
        hear(&mut last, count);
    }
    // The first one calls again: it is not the oldest any more.
    hear(&mut last, 0);
    hear(&mut last, MAX);
    assert_eq!((last.rows.len(), last.by_age.len()), (MAX, MAX));
    let known = |count: usize| {
        let contact = Address::new(&format!("+1999{count}"), "sip.example.com").unwrap();
        last.rows.contains_key(&pair(&user("juliet"), &contact))
    };
    assert!(known(0) && known(MAX));
    assert_eq!((1..1000).filter(|count| !known(*count)).count(), 1);
    let last = actions.back();
    assert!(matches!(last, Some(Action::Forget(Key::LastNumber(_)))));
}
