use super::*;
use proptest::prelude::*;

fn sip(text: &str) -> SipUri {
    let Uri::Sip(uri) = Uri::parse(text).unwrap() else {
        panic!("{text}")
    };
    uri
}

#[test]
fn reads_every_part() {
    let uri = sip("SIPS:al%40ice:secret@Example.org:5071;transport=tcp;lr?Replaces=x");
    assert!(uri.secure);
    assert_eq!(uri.raw_user(), Some("al%40ice"));
    assert_eq!(uri.user().as_deref(), Some(&b"al@ice"[..]));
    assert_eq!(uri.port, Some(5071));
    assert_eq!(
        uri.to_string(),
        "sips:al%40ice@example.org:5071;transport=tcp;lr"
    );
}

#[test]
fn parameters_keep_their_case() {
    assert_eq!(
        sip("sip:a@b;Transport=tCp;LR").to_string(),
        "sip:a@b;Transport=tCp;LR"
    );
}

#[test]
fn a_user_may_hold_semicolons_and_question_marks() {
    let uri = sip("sip:user;par=u%40example.net?x@example.com;y");
    assert_eq!(uri.raw_user(), Some("user;par=u%40example.net?x"));
    assert_eq!(uri.params.as_str(), ";y");
}

#[test]
fn missing_escapes_are_added() {
    assert_eq!(sip("sip:tschüss#1@h").to_string(), "sip:tsch%C3%BCss%231@h");
    assert_eq!(sip("sip:50%@h").to_string(), "sip:50%25@h");
}

#[test]
fn a_user_given_unescaped_cannot_break_out() {
    let uri = SipUri::new(Host::parse("h").unwrap()).with_user("a@b\r\nRoute: <x>");
    assert_eq!(uri.to_string(), "sip:a%40b%0D%0ARoute%3A%20%3Cx%3E@h");
}

#[test]
fn a_tel_uri_keeps_its_plus() {
    let uri = Uri::parse("tel:+1-201-555-0123;phone-context=x").unwrap();
    assert_eq!(uri.to_string(), "tel:+1-201-555-0123;phone-context=x");
    assert_eq!(uri.scheme(), "tel");
}

#[test]
fn other_schemes_are_kept_as_they_are() {
    for text in ["im:a@b", "pres:a@b", "urn:service:sos.fire", "http://x/?y"] {
        assert_eq!(Uri::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn a_final_dot_is_no_part_of_a_name_nor_of_an_address() {
    let host = |text: &str| sip(text).host.to_string();
    assert_eq!(host("sip:a@Example.com."), "example.com");
    assert_eq!(sip("sip:a@192.0.2.1.").host, sip("sip:a@192.0.2.1").host);
}

#[test]
fn refuses_what_no_uri_can_be() {
    for text in [
        "",
        "a@b",
        ":x",
        "sip:",
        "sip:@h",
        "sip:a b@h",
        "sip:a@h:99999",
        "sip:a@@h",
        "tel:",
        "sip:a@h;x=<",
    ] {
        assert!(Uri::parse(text).is_err(), "{text}");
    }
    assert_eq!(
        Uri::parse(&format!("sip:{}@h", "a".repeat(MAX_LEN))),
        Err(InvalidUri::TooLong)
    );
}

proptest! {
    #[test]
    fn any_user_survives_a_round_trip(user in "[a-z@:%;?&\"<> \r\n\u{0}ü€😀]{1,20}") {
        let uri = SipUri::new(Host::parse("h.example").unwrap()).with_user(&user);
        let again = sip(&uri.to_string());
        let decoded = again.user().map(Cow::into_owned);
        prop_assert_eq!(decoded, Some(user.as_bytes().to_vec()));
        prop_assert_eq!(again, uri);
    }

    #[test]
    fn what_prints_reads_back_the_same(text in "(sips?|tel|im|[a-z]{1,3}):[a-z0-9@:;=?%\\[\\]. \r\n\"<>ü]{0,30}") {
        if let Ok(uri) = Uri::parse(&text) {
            let printed = uri.to_string();
            prop_assert!(!printed.contains(grammar::is_forbidden));
            prop_assert_eq!(Uri::parse(&printed), Ok(uri));
        }
    }
}

#[test]
fn a_uri_that_grows_too_long_when_it_is_written_is_too_long() {
    let text = format!("sip:{}@b", "ä".repeat(1000));
    assert_eq!(Uri::parse(&text), Err(InvalidUri::TooLong));
    let text = format!("sip:{}@b", "ä".repeat(600));
    let uri = Uri::parse(&text).unwrap();
    assert_eq!(Uri::parse(&uri.to_string()), Ok(uri));
}
