use super::*;

#[test]
fn a_call_rings_is_answered_and_ends() {
    let mut world = World::polite();
    world.call(Some("o1"));
    world.run(100);
    assert_eq!(
        world.hear(),
        [
            vec!["progress 180#1", "answered a21#1"],
            vec!["invited o1", "established"]
        ]
        .map(|lines| lines.into_iter().map(str::to_owned).collect::<Vec<_>>())
    );
    assert_eq!(
        world.log,
        ["0 INVITE", "1 180 INVITE", "1 200 INVITE", "0 ACK"]
    );
    let reason = Reason::q850(16).with_text("bye");
    world.act(0, |session, cx| session.hang_up(vec![reason], cx));
    world.run(100);
    assert_eq!(world.heard(0), ["ended Ours"]);
    assert_eq!(world.heard(1), ["ended Theirs Q.850;cause=16;text=\"bye\""]);
    world.finish();
}

#[test]
fn a_refusal_is_told_with_all_it_says() {
    let mut world = World::new();
    world.call(Some("o1"));
    world.run(10);
    let mut headers = Headers::new();
    headers.push_reasons(&[Reason::q850(17)]);
    world.act(1, |session, cx| {
        session.reject(Status::BUSY_HERE, &headers, cx)
    });
    world.run(10);
    let key = world.sides[0].session.unwrap();
    assert_eq!(world.heard(0), ["refused 486"]);
    assert!(world.sides[0].sessions.get(key).is_none());
    world.finish();
}

#[test]
fn a_redirection_is_reported_and_not_followed() {
    let mut world = World::new();
    world.call(Some("o1"));
    world.run(10);
    let mut headers = Headers::new();
    headers.push(Name::Contact, "<sip:else@192.0.2.77>");
    let moved = Status::new(302).unwrap();
    world.act(1, |session, cx| session.reject(moved, &headers, cx));
    world.run(10);
    assert_eq!(world.heard(0), ["redirected 302"]);
    assert!(world.stray.is_empty());
    world.finish();
}

#[test]
fn nobody_there_is_a_failure_after_timer_b() {
    let mut world = World::new();
    world.call_to(address(8), Some("o1"));
    world.run(33_000);
    assert_eq!(world.heard(0), ["failed Timeout"]);
    assert_eq!(world.count("0 INVITE"), 7);
    world.finish();
}

#[test]
fn an_invite_is_complete_and_its_body_is_the_offer() {
    let mut world = World::new();
    world.sides[0].local.timer.seconds = 1800;
    world.call_to(address(8), Some("o1"));
    world.run(10);
    let Message::Request(invite) = world.stray.remove(0) else {
        panic!()
    };
    for (name, value) in [
        (Name::Contact, "<sip:p0@192.0.2.1>"),
        (Name::Supported, "100rel, timer, replaces"),
        (Name::SessionExpires, "1800"),
        (Name::MinSe, "90"),
        (Name::MaxForwards, "40"),
        (Name::ContentType, "application/sdp"),
        (
            Name::Allow,
            "MESSAGE, OPTIONS, INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, REFER",
        ),
    ] {
        assert_eq!(invite.headers.get(name), Some(value), "{}", name.as_str());
    }
    assert_eq!(&*invite.body, b"o1");
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn a_challenge_is_answered_and_the_ack_bears_the_same_credentials() {
    let credential = crate::sip::digest::Credential {
        user: "u".into(),
        password: "p".into(),
        realm: None,
    };
    let mut world = World::with(|_, _, local| local.credential = Some(credential.clone()));
    let far = address(8);
    world.call_to(far, Some("o1"));
    world.run(10);
    let Message::Request(first) = world.stray.remove(0) else {
        panic!()
    };
    let answer = |request: &Request, status: u16| {
        let mut response = Response::to(request, Status::new(status).unwrap());
        response.headers.set(Name::To, "<sip:b@far.example>;tag=t");
        response.headers.push(Name::Contact, "<sip:b@192.0.2.9>");
        response
    };
    let challenge = r#"Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256"#;
    let challenged = answer(&first, 407).with(Name::ProxyAuthenticate, challenge);
    world.inject(far, 0, &Message::Response(challenged));
    world.run(10);
    assert!(
        matches!(&world.stray[0], Message::Request(ack) if ack.method == crate::sip::Method::Ack)
    );
    let Message::Request(second) = world.stray.remove(1) else {
        panic!()
    };
    assert_eq!(second.cseq().unwrap().number, 2);
    assert_eq!(second.call_id(), first.call_id());
    let credentials = second.headers.get(Name::ProxyAuthorization).unwrap();
    let mut accepted = answer(&second, 200);
    body("a1").attach(&mut accepted.headers, &mut accepted.body);
    world.stray.clear();
    world.inject(far, 0, &Message::Response(accepted));
    world.run(10);
    let Message::Request(ack) = world.stray.remove(0) else {
        panic!()
    };
    assert_eq!(ack.headers.get(Name::ProxyAuthorization), Some(credentials));
    assert_eq!(ack.cseq().unwrap().to_string(), "2 ACK");
    assert_eq!(ack.uri.to_string(), "sip:b@192.0.2.9");
    assert_eq!(world.heard(0), ["answered a1#1"]);
    // The password is wrong: nobody asks again and again.
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn an_invite_nothing_can_be_made_of_is_refused_at_once() {
    let mut world = World::new();
    let invite = |extra: &str| {
        let text = format!(
            "INVITE sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{}\r\n\
             From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n{extra}\r\n\r\nbody",
            extra.len(),
            extra.len(),
        );
        parse::parse(text.as_bytes(), Framing::Datagram).unwrap()
    };
    let contact = "Contact: <sip:a@192.0.2.9>\r\n";
    for (extra, status) in [
        ("Content-Type: application/sdp".to_owned(), "400 INVITE"),
        (format!("{contact}Content-Type: text/plain"), "415 INVITE"),
        (
            format!("{contact}Content-Type: application/sdp\r\nContent-Encoding: gzip"),
            "415 INVITE",
        ),
        (
            format!(
                "{contact}Supported: timer\r\nSession-Expires: 60\r\nContent-Type: application/sdp"
            ),
            "422 INVITE",
        ),
        (
            format!("{contact}Require: wings\r\nContent-Type: application/sdp"),
            "420 INVITE",
        ),
    ] {
        world.log.clear();
        world.inject(address(8), 1, &invite(&extra));
        assert_eq!(world.log, [format!("1 {status}")], "{extra}");
    }
    assert!(world.heard(1).is_empty());
    world.finish();
}
