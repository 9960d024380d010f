use super::*;

fn bench() -> Bench {
    Bench::with(|config| *config = config.clone().with_calls())
}

fn invite(branch: &str) -> String {
    message(branch).replace("MESSAGE", "INVITE").replace(
        "To: <sip:juliet@tandem.example>\r\n",
        "To: <sip:juliet@tandem.example>\r\nContact: <sip:romeo@phone.example>\r\n",
    )
}

/// The ACK of a refusal or, with another branch, of a 2xx.
fn ack(branch: &str, tag: &str) -> String {
    message(branch).replace("MESSAGE", "ACK").replace(
        "juliet@tandem.example>\r\n",
        &format!("juliet@tandem.example>;tag={tag}\r\n"),
    )
}

fn cancel(branch: &str) -> String {
    message(branch).replace("MESSAGE", "CANCEL")
}

impl Bench {
    fn answer_with(&mut self, token: ServerToken, request: &Request, status: Status) {
        let response = Response::to(request, status);
        self.endpoint.respond(token, response, self.now);
    }

    fn tag_of_answer(&mut self) -> String {
        let response = answer(&self.transmits().remove(0));
        let to = crate::sip::NameAddr::parse(response.headers.get(Name::To).unwrap());
        to.unwrap().tag().unwrap()
    }
}

#[test]
fn a_core_that_thinks_longer_than_200_ms_has_a_100_sent_for_it() {
    let mut bench = bench();
    bench.receive(&invite("a"));
    bench.pass(Duration::from_millis(199));
    assert!(bench.statuses().is_empty());
    bench.pass(Duration::from_millis(1));
    let sent = bench.transmits();
    assert_eq!(answer(&sent[0]).status, Status::TRYING);
    assert_eq!(
        answer(&sent[0]).headers.get(Name::To),
        Some("<sip:juliet@tandem.example>")
    );
    bench.receive(&invite("a"));
    let (token, request) = bench.request();
    bench.answer_with(token, &request, Status::RINGING);
    bench.receive(&invite("a"));
    assert_eq!(bench.statuses(), [100, 180, 180]);
    assert!(bench.events().is_empty());
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut bench = bench();
    bench.receive(&invite("a"));
    let (token, request) = bench.request();
    bench.answer_with(token, &request, Status::BUSY_HERE);
    bench.answer_with(token, &request, Status::OK);
    let tag = bench.tag_of_answer();
    bench.pass(Duration::from_millis(3500));
    bench.receive(&invite("a"));
    assert_eq!(bench.statuses(), [486; 4]);
    bench.receive(&ack("a", &tag));
    bench.receive(&ack("a", &tag));
    bench.pass(Duration::from_secs(40));
    assert!(bench.statuses().is_empty() && bench.events().is_empty());
    assert_eq!(bench.endpoint.open(), (0, 0));
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn a_refusal_nobody_acknowledges_is_given_up() {
    let mut bench = bench();
    bench.receive(&invite("a"));
    let (token, request) = bench.request();
    bench.answer_with(token, &request, Status::BUSY_HERE);
    bench.pass(Duration::from_secs(33));
    assert_eq!(bench.statuses().len(), 11);
    assert_eq!(bench.endpoint.open(), (0, 0));
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn after_a_2xx_copies_are_absorbed_the_core_repeats_and_the_ack_goes_up() {
    let mut bench = bench();
    bench.receive(&invite("a"));
    let (token, request) = bench.request();
    bench.answer_with(token, &request, Status::OK);
    let tag = bench.tag_of_answer();
    bench.receive(&invite("a"));
    bench.pass(Duration::from_secs(5));
    assert!(bench.statuses().is_empty());
    bench.answer_with(token, &request, Status::OK);
    assert_eq!(bench.statuses(), [200]);
    // A new branch, as it should be, and that of the INVITE, as some do.
    bench.receive(&ack("b", &tag));
    bench.receive(&ack("a", &tag));
    let events = bench.events();
    assert!(
        events
            .iter()
            .all(|event| matches!(event, Event::Ack { .. }))
    );
    assert_eq!(events.len(), 2);
    bench.pass(Duration::from_secs(32));
    assert_eq!(bench.endpoint.open(), (0, 0));
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn a_cancel_is_answered_and_told_once_while_there_is_something_to_cancel() {
    let mut bench = bench();
    bench.receive(&invite("a"));
    let (token, request) = bench.request();
    for _ in 0..2 {
        bench.receive(&cancel("a"));
    }
    let events = bench.events();
    assert!(
        matches!(&events[..], [Event::Cancelled { token: cancelled, .. }] if *cancelled == token)
    );
    bench.answer_with(token, &request, Status::REQUEST_TERMINATED);
    bench.receive(&cancel("a"));
    bench.receive(&cancel("unknown"));
    assert_eq!(bench.statuses(), [200, 200, 487, 200, 481]);
    assert!(bench.events().is_empty());
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut bench = bench();
    bench.receive(&invite("a"));
    let (token, request) = bench.request();
    bench.answer_with(token, &request, Status::OK);
    bench.receive(&cancel("a"));
    assert_eq!(bench.statuses(), [200, 200]);
    assert!(bench.events().is_empty());
}

#[test]
fn an_invite_that_came_two_ways_rings_once() {
    let mut bench = bench();
    bench.receive(&invite("a"));
    let (token, request) = bench.request();
    bench.receive(&invite("b"));
    bench.answer_with(token, &request, Status::BUSY_HERE);
    bench.receive(&invite("c"));
    assert_eq!(bench.statuses(), [482, 486, 482]);
}

#[test]
fn the_ack_of_an_answer_given_without_a_transaction_is_nobodys() {
    let mut bench = bench();
    bench.receive(&invite("a").replace("Contact:", "Require: wings\r\nContact:"));
    let tag = bench.tag_of_answer();
    bench.receive(&ack("a", &tag));
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.counters().stray_ack, 0);
}

#[test]
fn what_needs_a_dialog_is_refused_outside_and_handed_up_inside() {
    let mut bench = bench();
    for method in ["BYE", "PRACK", "UPDATE", "INFO"] {
        bench.receive(&message(method).replace("MESSAGE", method));
        assert_eq!(bench.statuses(), [481], "{method}");
        bench.receive(&ack(&format!("{method}x"), "t").replace("ACK", method));
        assert_eq!(bench.events().len(), 1, "{method}");
    }
    bench.receive(&ack("m", "t").replace("ACK", "MESSAGE"));
    assert_eq!(bench.statuses(), [481]);
}

#[test]
fn an_endpoint_without_calls_hands_up_no_ack() {
    let mut bench = Bench::new();
    bench.receive(&ack("a", "t"));
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.counters().stray_ack, 1);
}
