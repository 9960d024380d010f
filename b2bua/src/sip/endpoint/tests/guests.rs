//! Who is let in by a password or a certificate.

use super::*;
use crate::sip::digest::{Account, Credential, Digest, Rounds};
use crate::sip::header::Name;
use crate::sip::parse::parse;

const AWAY: [u8; 4] = [203, 0, 113, 9];

fn open() -> Bench {
    Bench::with(|config| {
        config.accounts = vec![Account {
            number: 7,
            user: "pbx".into(),
            password: "secret".into(),
        }];
        config.realm = "tandem.example".into();
        *config = config.clone().with_calls();
    })
}

fn away() -> Flow {
    udp(AWAY, 5060)
}

impl Bench {
    fn receive_from(&mut self, flow: Flow, text: &str) {
        self.endpoint.handle_packet(flow, text.as_bytes(), self.now);
    }

    /// A request of somebody away; the only answer to it.
    fn challenge(&mut self, text: &str) -> Response {
        self.receive_from(away(), text);
        let transmits = self.transmits();
        let [transmit] = transmits.as_slice() else {
            panic!("{} answers", transmits.len());
        };
        let response = answer(transmit);
        assert_eq!(response.status, Status::UNAUTHORIZED);
        response
    }

    /// Whose the requests are that were handed up since the last look.
    fn guests(&mut self) -> Vec<Option<Guest>> {
        let guest = |event| {
            let Event::Request { source, .. } = event else {
                return None;
            };
            Some(source.guest)
        };
        self.events().into_iter().filter_map(guest).collect()
    }
}

/// The request again, in a transaction of its own, with an answer to the challenge.
fn with_password(text: &str, challenge: &Response, password: &str) -> String {
    let Ok(Message::Request(mut request)) = parse(text.as_bytes(), Framing::Datagram) else {
        panic!("{text}");
    };
    let mut digest = Digest::new(Credential {
        user: "pbx".into(),
        password: password.into(),
        realm: None,
    });
    let (rounds, mint) = (&mut Rounds::default(), &mut Mint::new([2; 16]));
    digest
        .answer(challenge, &mut request, rounds, mint)
        .unwrap();
    let value = request.headers.get(Name::Authorization).unwrap();
    text.replace("branch=z9hG4bK", "branch=z9hG4bKa")
        .replace("Call-ID:", &format!("Authorization: {value}\r\nCall-ID:"))
}

/// Our tag in an answer.
fn tag_of(response: &Response) -> String {
    crate::sip::dialog::tag_of(response.headers.get(Name::To).unwrap())
}

fn invite(branch: &str) -> String {
    message(branch)
        .replace("MESSAGE", "INVITE")
        .replace("Call-ID", "Contact: <sip:romeo@203.0.113.9>\r\nCall-ID")
}

/// The same request of another method, of the transaction of `text`.
fn follow(text: &str, method: &str, to_tag: &str) -> String {
    let text = text.replace("INVITE", method);
    match to_tag {
        "" => text,
        tag => text.replace(
            "To: <sip:juliet@tandem.example>",
            &format!("To: <sip:juliet@tandem.example>;tag={tag}"),
        ),
    }
}

#[test]
fn whoever_knows_the_password_is_heard_from_anywhere() {
    let mut bench = open();
    let response = bench.challenge(&message("1"));
    let asked: Vec<&str> = response.headers.all(Name::WwwAuthenticate).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].contains("SHA-256") && asked[1].contains("MD5"));
    assert!(bench.guests().is_empty());
    let answered = with_password(&message("1"), &response, "secret");
    bench.receive_from(away(), &answered);
    assert_eq!(bench.guests(), [Some(Guest(7))]);
    // A copy is one, not another use of its nonce.
    bench.receive_from(away(), &answered);
    assert_eq!((bench.statuses(), bench.guests()), (vec![], vec![]));
    // Those known by their address are not asked.
    bench.receive(&message("2").replace("Call-ID: c", "Call-ID: d"));
    assert_eq!(bench.guests(), [None]);
}

/// Whoever forges an address does not have it asked at a port where nobody speaks SIP.
#[test]
fn nobody_is_asked_at_the_port_of_another_service() {
    let mut bench = open();
    bench.receive_from(udp(AWAY, 53), &message("1"));
    assert!(bench.transmits().is_empty());
    bench.receive_from(udp(AWAY, 1024), &message("1"));
    assert_eq!(bench.statuses(), [401]);
}

#[test]
fn what_was_used_is_asked_for_anew_and_is_no_wrong_password() {
    let mut bench = open();
    let response = bench.challenge(&message("1"));
    let answered = with_password(&message("1"), &response, "secret");
    bench.receive_from(away(), &answered);
    assert_eq!(bench.guests(), [Some(Guest(7))]);
    let replay = answered.replace("z9hG4bKa", "z9hG4bKb");
    let response = bench.challenge(&replay);
    assert!(
        response
            .headers
            .all(Name::WwwAuthenticate)
            .all(|it| it.contains("stale=true"))
    );
    assert_eq!(bench.endpoint.counters().wrong_credentials, 0);
    // From elsewhere it is not even that.
    bench.receive_from(udp([203, 0, 113, 10], 5060), &replay);
    assert_eq!((bench.statuses(), bench.guests()), (vec![401], vec![]));
}

#[test]
fn a_wrong_password_counts_as_knocking_and_being_asked_does_not() {
    let mut bench = open();
    let response = bench.challenge(&message("1"));
    for _ in 0..9 {
        let wrong = with_password(&message("1"), &response, "Secret");
        let again = bench.challenge(&wrong);
        assert!(
            again
                .headers
                .all(Name::WwwAuthenticate)
                .all(|it| !it.contains("stale"))
        );
    }
    assert_eq!(bench.endpoint.counters().wrong_credentials, 9);
    // The first that is right is taken for a mistake of before.
    let response = bench.challenge(&message("1"));
    bench.receive_from(away(), &with_password(&message("1"), &response, "secret"));
    assert_eq!(bench.guests(), [Some(Guest(7))]);
    for _ in 0..10 {
        bench.receive_from(away(), &with_password(&message("2"), &response, "Secret"));
    }
    assert_eq!(bench.statuses(), [401; 10]);
    bench.receive_from(away(), &with_password(&message("3"), &response, "secret"));
    assert_eq!((bench.statuses(), bench.guests()), (vec![], vec![]));
}

#[test]
fn whoever_shows_nothing_is_asked_a_few_times_a_minute() {
    let mut bench = open();
    for number in 0..100 {
        bench.receive_from(away(), &message(&number.to_string()));
    }
    assert_eq!(bench.statuses(), [401; 10]);
    assert!(bench.guests().is_empty());
    // Its silence is that of all strangers: this one is banned.
    bench.pass(Duration::from_secs(120));
    bench.receive_from(away(), &message("x"));
    assert!(bench.statuses().is_empty());
    // Somebody else is not.
    bench.receive_from(udp([203, 0, 113, 10], 5060), &message("x"));
    assert_eq!(bench.statuses(), [401]);
}

#[test]
fn without_accounts_and_for_what_is_not_heard_anyway_there_is_silence() {
    let mut bench = Bench::new();
    bench.receive_from(away(), &message("1"));
    assert!(bench.statuses().is_empty());
    let mut bench = open();
    for text in [
        message("1").replace("MESSAGE", "REGISTER"),
        message("2").replace("MESSAGE", "SUBSCRIBE"),
        message("3").replace("MESSAGE", "ACK"),
        message("4").replace("MESSAGE", "CANCEL"),
        "rubbish".to_owned(),
        "SIP/2.0 200 OK\r\n\r\n".to_owned(),
    ] {
        bench.receive_from(away(), &text);
    }
    assert_eq!((bench.statuses(), bench.guests()), (vec![], vec![]));
}

#[test]
fn a_call_shows_its_password_in_every_request_that_can_be_asked() {
    let mut bench = open();
    let response = bench.challenge(&invite("1"));
    // The thanks for a challenge are no knocking.
    let tag = tag_of(&response);
    for _ in 0..20 {
        bench.receive_from(away(), &follow(&invite("1"), "ACK", &tag));
    }
    let answered = with_password(&invite("1"), &response, "secret");
    bench.receive_from(away(), &answered);
    let (token, request) = bench.request();
    assert_eq!(request.method, Method::Invite);
    bench.transmits();
    // Neither CANCEL nor ACK can be asked.
    bench.receive_from(away(), &follow(&answered, "CANCEL", ""));
    assert_eq!(bench.statuses(), [200]);
    assert!(matches!(bench.events()[..], [Event::Cancelled { .. }]));
    let accepted = Response::to(&request, Status::OK).with(Name::Contact, "<sip:t@192.0.2.9>");
    bench.endpoint.respond(token, accepted, bench.now);
    let ours = answer(&bench.transmits().remove(0));
    let tag = tag_of(&ours);
    let ack = follow(&invite("2"), "ACK", &tag);
    bench.receive_from(away(), &ack);
    assert!(matches!(bench.events()[..], [Event::Ack { .. }]));
    let bye = follow(&invite("3"), "BYE", &tag);
    let response = bench.challenge(&bye);
    bench.receive_from(away(), &with_password(&bye, &response, "secret"));
    assert_eq!(bench.guests(), [Some(Guest(7))]);
    // Of nobody else.
    bench.receive_from(udp([203, 0, 113, 10], 5060), &ack);
    assert!(bench.events().is_empty());
}

#[test]
fn a_connection_is_its_guests_until_it_is_closed() {
    let mut bench = Bench::new();
    let connection = ConnectionId(5);
    let flow = |connection| Flow::Stream {
        connection,
        transport: Transport::Tls,
        peer: SocketAddr::from((AWAY, 40_000)),
    };
    bench.endpoint.handle_certified(connection, Guest(2));
    bench.receive_from(flow(connection), &message("1"));
    assert_eq!(bench.guests(), [Some(Guest(2))]);
    bench.receive_from(flow(ConnectionId(6)), &message("2"));
    assert!(bench.guests().is_empty());
    let now = bench.now;
    bench
        .endpoint
        .handle_closed(connection, NotSent::Closed, &[], now);
    bench.receive_from(flow(connection), &message("3"));
    assert_eq!((bench.statuses(), bench.guests()), (vec![], vec![]));
}

/// Somebody writes the address of one who has shown its password on whatever he sends.
#[test]
fn nobody_can_have_a_guest_banned_in_its_name() {
    let mut bench = open();
    let response = bench.challenge(&message("1"));
    bench.receive_from(away(), &with_password(&message("1"), &response, "secret"));
    assert_eq!(bench.guests(), [Some(Guest(7))]);
    let forge = |bench: &mut Bench| {
        for text in [
            "x".to_owned(),
            message("f").replace("MESSAGE", "REGISTER"),
            message("f").replace("MESSAGE", "CANCEL"),
            with_password(&message("f"), &response, "guessed").replace("nonce=\"", "nonce=\"0"),
        ] {
            for _ in 0..30 {
                bench.receive_from(away(), &text);
            }
        }
        bench.transmits();
        assert_eq!(bench.endpoint.counters().banned, 0);
    };
    // After a quiet night, too.
    for hours in [0, 12] {
        bench.pass(Duration::from_secs(hours * 3600));
        forge(&mut bench);
        let text =
            message(&format!("n{hours}")).replace("Call-ID: c", &format!("Call-ID: n{hours}"));
        let response = bench.challenge(&text);
        bench.receive_from(away(), &with_password(&text, &response, "secret"));
        assert_eq!(bench.guests(), [Some(Guest(7))]);
    }
    assert_eq!(bench.endpoint.counters().wrong_credentials, 0);
}

#[test]
fn whoever_answers_a_challenge_is_heard_though_others_had_its_address_banned() {
    let mut bench = open();
    let response = bench.challenge(&message("1"));
    for _ in 0..10 {
        bench.receive_from(away(), "x");
    }
    bench.receive_from(away(), &message("2"));
    assert_eq!(bench.statuses(), [] as [u16; 0]);
    assert_eq!(bench.endpoint.counters().banned, 1);
    bench.receive_from(away(), &with_password(&message("3"), &response, "secret"));
    assert_eq!(bench.guests(), [Some(Guest(7))]);
    // What it shows is bound to its address.
    for _ in 0..10 {
        bench.receive_from(udp([203, 0, 113, 10], 5060), "x");
    }
    let elsewhere = with_password(&message("4"), &response, "secret");
    bench.receive_from(udp([203, 0, 113, 10], 5060), &elsewhere);
    assert_eq!((bench.statuses(), bench.guests()), (vec![], vec![]));
}

#[test]
fn a_flood_of_forged_addresses_leaves_guests_and_those_who_are_new_their_challenges() {
    let mut bench = open();
    let response = bench.challenge(&message("1"));
    bench.receive_from(away(), &with_password(&message("1"), &response, "secret"));
    assert_eq!(bench.guests(), [Some(Guest(7))]);
    for number in 0..10_000_u32 {
        let [_, b, c, d] = number.to_be_bytes();
        bench.receive_from(udp([198, b, c, d], 5060), "x");
    }
    bench.challenge(&message("2"));
    let new = udp([203, 0, 113, 10], 5060);
    bench.receive_from(new, &message("3"));
    assert_eq!(bench.statuses(), [401]);
}

#[test]
fn a_guest_may_begin_with_many_calls_at_once() {
    let mut bench = open();
    let call = |number: u32| {
        let id = format!("Call-ID: c{number}");
        invite(&number.to_string()).replace("Call-ID: c", &id)
    };
    let calls: Vec<String> = (0..40).map(call).collect();
    for call in &calls {
        bench.receive_from(away(), call);
    }
    let transmits = bench.transmits();
    let asked: Vec<Response> = transmits.iter().map(answer).collect();
    assert_eq!(asked.len(), 10);
    for (call, challenge) in calls.iter().zip(&asked) {
        let tag = tag_of(challenge);
        bench.receive_from(away(), &follow(call, "ACK", &tag));
        bench.receive_from(away(), &with_password(call, challenge, "secret"));
    }
    assert_eq!(bench.guests(), [Some(Guest(7)); 10]);
    bench.transmits();
    // The others come again, and then many more in the same minute.
    for _ in 0..20 {
        for call in calls.iter().skip(10) {
            bench.receive_from(away(), call);
        }
    }
    assert_eq!(bench.statuses(), [401; 600]);
}

#[test]
fn how_often_a_password_may_be_guessed_has_a_bound_for_guests_too() {
    let mut bench = open();
    let response = bench.challenge(&message("1"));
    bench.receive_from(away(), &with_password(&message("1"), &response, "secret"));
    assert_eq!(bench.guests(), [Some(Guest(7))]);
    // With a nonce that is not ours, or another's, nobody learns whether it is right.
    bench.receive_from(udp([203, 0, 113, 10], 5060), &message("2"));
    let another = answer(&bench.transmits().remove(0));
    for password in ["secret", "guessed"] {
        let guess = with_password(&message("2"), &another, password);
        let asked = bench.challenge(&guess);
        let mut asked = asked.headers.all(Name::WwwAuthenticate);
        assert!(asked.all(|it| it.contains("stale=true")));
    }
    for _ in 0..20 {
        bench.receive_from(away(), &with_password(&message("3"), &response, "guessed"));
    }
    assert_eq!(bench.statuses(), [401; 10]);
    assert_eq!(bench.endpoint.counters().wrong_credentials, 10);
}
