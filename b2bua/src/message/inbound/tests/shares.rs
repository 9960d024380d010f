//! Messages to a number that several users share.

use super::*;
use crate::number::Numbers;
use tandem_shared::address::Address;
use tandem_shared::message::Message;

/// A bench where juliet and romeo share a number.
fn shared() -> Bench {
    let mut settings = settings();
    let users = ["juliet", "romeo"].map(|user| Address::new(user, "example.com").unwrap());
    settings.numbers = Numbers::new(users.map(|user| ("+15550002".to_owned(), user)));
    Bench::with(settings)
}

fn to_both(branch: &str) -> Vec<u8> {
    let text = String::from_utf8(packet(branch, 1, PLAIN, "hello")).unwrap();
    let uri = "MESSAGE sip:juliet%40example.com@";
    text.replace(uri, "MESSAGE sip:+15550002@").into_bytes()
}

/// The message came by `branch`: the copies that were published for it.
fn copies(bench: &mut Bench, branch: &str) -> Vec<Message> {
    bench.packet(PEER, &to_both(branch));
    bench.messages()
}

fn ids(messages: &[Message]) -> Vec<MessageId> {
    let ids = messages.iter().map(|message| message.id.clone());
    ids.collect()
}

fn later() -> Refusal {
    Refusal::new(Reason::RecipientUnavailable).with_retry_after(30)
}

fn never() -> Refusal {
    Refusal::new(Reason::ServiceUnavailable).by_account()
}

#[test]
fn everybody_has_it_before_the_sender_is_told_so() {
    let mut bench = shared();
    let messages = copies(&mut bench, "1");
    let users: Vec<_> = messages.iter().map(|it| it.to.user.as_str()).collect();
    assert_eq!(users, ["juliet", "romeo"]);
    assert!(messages.iter().all(|message| message.body == "hello"));
    let ids = ids(&messages);
    assert_ne!(ids[0], ids[1]);
    tell(&mut bench, &ids[0], Ok(()));
    // Said twice it is still one of two.
    tell(&mut bench, &ids[0], Ok(()));
    assert!(bench.codes().is_empty());
    tell(&mut bench, &ids[1], Ok(()));
    assert_eq!(bench.codes(), [202]);
    assert_eq!(copies(&mut bench, "2"), []);
    assert_eq!(bench.codes(), [202]);
}

#[test]
fn one_who_never_will_have_it_does_not_take_it_from_the_others() {
    for outcomes in [[Ok(()), Err(never())], [Err(never()), Ok(())]] {
        let mut bench = shared();
        let ids = ids(&copies(&mut bench, "1"));
        for (id, outcome) in ids.iter().zip(outcomes) {
            tell(&mut bench, id, outcome);
        }
        assert_eq!(bench.codes(), [202]);
    }
}

#[test]
fn the_sender_comes_again_while_one_could_have_it_later() {
    let mut bench = shared();
    let first = copies(&mut bench, "1");
    tell(&mut bench, &first[0].id, Err(later()));
    assert!(bench.codes().is_empty());
    tell(&mut bench, &first[1].id, Ok(()));
    assert_eq!(bench.codes(), [480]);
    // The copies have the names they had, so that the component knows who has one.
    assert_eq!(copies(&mut bench, "2"), first);
    tell(&mut bench, &first[1].id, Ok(()));
    tell(&mut bench, &first[0].id, Ok(()));
    assert_eq!(bench.codes(), [202]);
}

#[test]
fn it_is_refused_when_nobody_has_it_and_nobody_will() {
    let nobody = || Refusal::new(Reason::ItemNotFound);
    let forbidden = Refusal::new(Reason::Forbidden);
    for (outcomes, code) in [
        ([nobody(), nobody()], 404),
        ([nobody(), forbidden.clone()], 403),
        ([forbidden, later()], 480),
    ] {
        let mut bench = shared();
        let ids = ids(&copies(&mut bench, "1"));
        for (id, refusal) in ids.iter().zip(outcomes) {
            tell(&mut bench, id, Err(refusal));
        }
        assert_eq!(bench.codes(), [code]);
    }
}

#[test]
fn who_has_it_is_not_told_again_after_the_xmpp_side_came_back() {
    let mut bench = shared();
    let first = copies(&mut bench, "1");
    tell(&mut bench, &first[0].id, Ok(()));
    for incoming in [
        tandem_shared::bus::Incoming::Disconnected,
        tandem_shared::bus::Incoming::Connected,
    ] {
        bench.core.handle_bus(incoming, bench.now);
    }
    bench.greet();
    assert_eq!(bench.messages(), first[1..]);
    tell(&mut bench, &first[1].id, Ok(()));
    assert_eq!(bench.codes(), [202]);
}

#[test]
fn no_answer_from_one_is_480_until_it_comes_late() {
    let mut bench = shared();
    let first = copies(&mut bench, "1");
    tell(&mut bench, &first[0].id, Ok(()));
    bench.pass(21);
    assert_eq!(bench.codes(), [480]);
    tell(&mut bench, &first[1].id, Ok(()));
    assert_eq!(copies(&mut bench, "2"), []);
    assert_eq!(bench.codes(), [202]);
}

#[test]
fn a_copy_the_bus_does_not_take_is_one_that_could_come_later() {
    let mut bench = shared();
    let mut first = copies(&mut bench, "1");
    let refused = Event::Message(Box::new(first.remove(0)));
    bench.core.handle_bus_refused(&refused, bench.now);
    bench.pass(0);
    assert!(bench.codes().is_empty());
    tell(&mut bench, &first[0].id, Ok(()));
    assert_eq!(bench.codes(), [480]);
}
