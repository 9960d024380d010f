use super::*;
use proptest::prelude::*;

const PLAIN: &str = "MESSAGE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n\
    From: <sip:alice@example.org>;tag=1\r\n\
    To: <sip:bob@example.com>\r\n\
    Call-ID: x\r\n\
    CSeq: 1 MESSAGE\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 5\r\n\
    \r\n\
    hello";

fn request(text: &str) -> Request {
    match parse(text.as_bytes(), Framing::Datagram) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn defect(text: &str) -> Defect {
    parse(text.as_bytes(), Framing::Datagram)
        .unwrap_err()
        .defect
}

#[test]
fn reads_a_request_with_its_body() {
    let request = request(PLAIN);
    assert_eq!(request.method, Method::Message);
    assert_eq!(&*request.body, b"hello");
    assert_eq!(request.cseq().unwrap().number, 1);
    assert_eq!(request.headers.get(Name::ContentLength), None);
}

#[test]
fn line_feeds_alone_and_leading_line_ends_are_fine() {
    let text = format!("\r\n\n{}", PLAIN.replace("\r\n", "\n"));
    assert_eq!(request(&text), request(PLAIN));
}

#[test]
fn folded_and_compact_headers_are_read() {
    let text = PLAIN
        .replace(
            "Via: SIP/2.0/UDP 192.0.2.1;",
            "v:\r\n SIP/2.0/UDP\r\n\t192.0.2.1 ; ",
        )
        .replace("Call-ID", "i ")
        .replace("Content-Length", "l");
    let folded = request(&text);
    assert_eq!(folded.top_via(), request(PLAIN).top_via());
    assert_eq!(folded.call_id(), "x");
}

#[test]
fn a_datagram_without_content_length_ends_its_body_itself() {
    let text = PLAIN.replace("Content-Length: 5\r\n", "");
    assert_eq!(&*request(&text).body, b"hello");
    let found = parse(text.as_bytes(), Framing::Stream).unwrap_err();
    assert_eq!(found.defect, Defect::Missing("Content-Length"));
}

#[test]
fn bytes_beyond_content_length_are_ignored_and_missing_ones_are_a_defect() {
    assert_eq!(
        &*request(&PLAIN.replace("Length: 5", "Length: 4")).body,
        b"hell"
    );
    assert_eq!(
        defect(&PLAIN.replace("Length: 5", "Length: 6")),
        Defect::ShortBody
    );
    assert_eq!(
        defect(&PLAIN.replace("Length: 5", "Length: 99999999")),
        Defect::TooLarge
    );
    assert_eq!(
        defect(&PLAIN.replace("Length: 5", "Length: -5")),
        Defect::ContentLength
    );
    let twice = PLAIN.replace("Content-Length: 5", "Content-Length: 5\r\nl: 4");
    assert_eq!(defect(&twice), Defect::ContentLength);
}

#[test]
fn an_unknown_method_is_a_request() {
    assert!(matches!(
        request(&PLAIN.replace("MESSAGE", "WHATEVER")).method,
        Method::Other(_)
    ));
}

#[test]
fn another_version_is_told_apart_from_garbage() {
    assert_eq!(
        defect(&PLAIN.replace("com SIP/2.0", "com SIP/7.0")),
        Defect::Version
    );
    assert_eq!(
        defect(&PLAIN.replace("com SIP/2.0", "com HTTP/1.1")),
        Defect::StartLine
    );
    assert_eq!(defect("garbage"), Defect::StartLine);
    assert_eq!(
        defect(&PLAIN.replace("sip:bob@example.com SIP", "<sip:bob@example.com> SIP")),
        Defect::RequestUri
    );
}

#[test]
fn what_can_be_salvaged_is_there_for_the_answer() {
    let text = PLAIN
        .replace("MESSAGE sip:bob@example.com", "MESSAGE bob")
        .replace("Content-Type:", "Content Type");
    let malformed = parse(text.as_bytes(), Framing::Datagram).unwrap_err();
    assert!(malformed.is_request);
    assert_eq!(malformed.defect, Defect::RequestUri);
    assert_eq!(malformed.headers.get(Name::CallId), Some("x"));
    assert_eq!(
        defect(&PLAIN.replace("Content-Type:", "Content Type")),
        Defect::HeaderLine
    );
}

#[test]
fn bytes_that_are_no_utf8_and_control_characters_become_harmless() {
    let mut bytes = PLAIN.replace("Call-ID: x", "Call-ID: x\rY\0").into_bytes();
    let at = bytes.windows(5).position(|w| w == b"alice").unwrap();
    bytes[at] = 0xff;
    let Ok(Message::Request(request)) = parse(&bytes, Framing::Datagram) else {
        panic!()
    };
    assert!(request.from().is_ok());
    assert_eq!(request.call_id(), "x Y");
}

#[test]
fn caps_hold() {
    let many = PLAIN.replace("Call-ID: x\r\n", &"X: y\r\n".repeat(MAX_LINES));
    assert_eq!(defect(&many), Defect::TooLarge);
    let long = PLAIN.replace("Call-ID: x", &format!("Call-ID: {}", "x".repeat(MAX_HEAD)));
    assert_eq!(defect(&long), Defect::TooLarge);
}

#[test]
fn a_response_keeps_its_reason() {
    let text = "SIP/2.0 480 Nobody  home\r\nCSeq: 1 X\r\n\r\n";
    let Ok(Message::Response(response)) = parse(text.as_bytes(), Framing::Datagram) else {
        panic!()
    };
    assert_eq!(response.status, Status::TEMPORARILY_UNAVAILABLE);
    assert_eq!(response.reason, "Nobody  home");
    for bad in [
        "SIP/2.0 99 x\r\n\r\n",
        "SIP/2.0 0200 x\r\n\r\n",
        "SIP/2.0\r\n\r\n",
        "SIP/3.0 200 OK\r\n\r\n",
    ] {
        assert!(
            !parse(bad.as_bytes(), Framing::Datagram)
                .unwrap_err()
                .is_request
        );
    }
}

#[test]
fn a_truncated_request_is_a_defect_at_every_length() {
    for end in 0..PLAIN.len() {
        assert!(
            parse(&PLAIN.as_bytes()[..end], Framing::Datagram).is_err(),
            "{end}"
        );
    }
}

proptest! {
    #[test]
    fn what_prints_reads_back_the_same(
        values in proptest::collection::vec(("[A-Z][a-z-]{0,8}", "[ -~ü€\r\n\t\u{0}]{0,20}"), 0..8),
        body in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let mut request = request(PLAIN);
        for (name, value) in &values {
            if Known::parse(name) != Some(Known::ContentLength) {
                request.headers.push(name.as_str(), value);
            }
        }
        request.body = body.into();
        let mut wire = Vec::new();
        request.print(&mut wire);
        prop_assert_eq!(parse(&wire, Framing::Stream), Ok(Message::Request(request)));
    }

    #[test]
    fn mutations_never_panic(changes in proptest::collection::vec((0..PLAIN.len(), any::<u8>()), 1..20), cut in 0..PLAIN.len()) {
        let mut bytes = PLAIN.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let _ = parse(&bytes, Framing::Datagram);
        let _ = parse(&bytes[cut..], Framing::Stream);
    }
}
