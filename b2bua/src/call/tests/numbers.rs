//! By which of its numbers a user calls back.

use super::*;
use crate::number::{Numbers, Owner, Row};

/// Juliet has three numbers; the second is chosen by `*2*`, the third hidden.
fn bench() -> Bench {
    let mut settings = settings();
    let row = |number: &str, select: &str, hidden| Row {
        number: number.into(),
        owner: Owner::User(address("juliet", "example.com")),
        hidden,
        outgoing: true,
        select: select.into(),
        country: None,
    };
    settings.numbers = Numbers::with_rows([
        row("+15550001", "*1*", false),
        row("+15550002", "*2*", false),
        row("+15550003", "", true),
    ]);
    Bench::with(settings)
}

/// Somebody calls one of her numbers.
fn be_called(bench: &mut Bench, number: &str) {
    let text = String::from_utf8(invite(number, PCMU)).unwrap();
    let text = text
        .replace("juliet%40example.com", number)
        .replace("romeo@pbx.example.net", "+15559001@192.0.2.1");
    bench.packet("192.0.2.1:5060", text.as_bytes());
    let anchor = bench.open_media();
    bench.facts();
    let gone = text
        .replace("INVITE", "CANCEL")
        .replace("application/sdp", "text/plain");
    let (head, _) = gone.split_once("\r\n\r\n").unwrap();
    let head = head.split("Content-Length").next().unwrap();
    bench.packet(
        "192.0.2.1:5060",
        format!("{head}Content-Length: 0\r\n\r\n").as_bytes(),
    );
    assert_eq!(bench.commands(), [Command::Release { anchor }]);
    bench.facts();
}

/// Who she is to whom she calls.
fn shown(bench: &mut Bench, dialled: &str) -> String {
    let call = CallId(format!("to {dialled} at {:?}", bench.now.instant));
    let offer = Offer {
        from: address("juliet", "example.com"),
        to: address(dialled, "sip.example.com"),
        name: None,
        media: vec![Media::Audio],
        description: None,
        hops: 69,
    };
    bench.fact_of(&call, Fact::Offer(Box::new(offer)));
    bench.open_media();
    let (invite, _) = bench.request();
    let from = invite.headers.get("From").unwrap().to_owned();
    bench.fact_of(&call, Fact::End(End::new(EndReason::Cancelled)));
    bench.pass(1);
    bench.requests();
    bench.commands();
    from.split('@').next().unwrap().to_owned()
}

#[test]
fn who_calls_back_is_known_by_the_number_that_was_called() {
    let mut bench = bench();
    assert_eq!(shown(&mut bench, "+15559001"), "<sip:+15550001");
    be_called(&mut bench, "+15550002");
    assert_eq!(shown(&mut bench, "+15559001"), "<sip:+15550002");
    // Somebody else has not called it.
    assert_eq!(shown(&mut bench, "+15559002"), "<sip:+15550001");
    // Who chooses, chooses.
    assert_eq!(shown(&mut bench, "*1*+15559001"), "<sip:+15550001");
    be_called(&mut bench, "+15550003");
    assert_eq!(
        shown(&mut bench, "+15559001"),
        "\"Anonymous\" <sip:anonymous",
        "a number that is hidden"
    );
    be_called(&mut bench, "+15550001");
    assert_eq!(shown(&mut bench, "+15559001"), "<sip:+15550001");
}
