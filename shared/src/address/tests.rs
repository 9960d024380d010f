use super::*;
use jid::Jid;
use proptest::prelude::*;

fn mapping() -> Mapping {
    Mapping {
        domain: "sip.example.com".into(),
        user_domains: Vec::new(),
    }
    .normalised()
    .unwrap()
}

fn jid(text: &str) -> Jid {
    Jid::new(text).unwrap()
}

#[test]
fn the_parent_domain_is_served_by_default() {
    assert_eq!(mapping().user_domains, ["example.com"]);
}

#[test]
fn a_number_is_a_contact_of_the_gateway() {
    let address = mapping()
        .contact_from_jid(&jid("+15551234567@sip.example.com"))
        .unwrap();
    assert_eq!(address.user, "+15551234567");
    assert_eq!(address.host, "sip.example.com");
    assert_eq!(
        mapping().contact_to_jid(&address).unwrap(),
        jid("+15551234567@sip.example.com")
    );
}

#[test]
fn separators_in_a_number_fall() {
    let address = mapping()
        .contact_from_jid(&jid("+1-555-123-4567@sip.example.com"))
        .unwrap();
    assert_eq!(address.user, "+15551234567");
}

#[test]
fn an_escaped_at_names_a_party_elsewhere() {
    let address = mapping()
        .contact_from_jid(&jid(r"romeo\40example.net@sip.example.com/orchard"))
        .unwrap();
    assert_eq!(
        (address.user.as_str(), address.host.as_str()),
        ("romeo", "example.net")
    );
    assert_eq!(address.device.as_deref(), Some("orchard"));
}

#[test]
fn the_last_at_divides_user_and_host() {
    let address = mapping()
        .contact_from_jid(&jid(r"a\40b\40example.net@sip.example.com"))
        .unwrap();
    assert_eq!(
        (address.user.as_str(), address.host.as_str()),
        ("a@b", "example.net")
    );
}

#[test]
fn nobody_is_refused() {
    for text in [
        "sip.example.com",
        r"\40example.net@sip.example.com",
        r"romeo\40@sip.example.com",
        r"romeo\40example.net\3a5070@sip.example.com",
        r"romeo\40exa mple.net@sip.example.com"
            .replace(' ', r"\20")
            .as_str(),
        r"ceo\40sip.example.com@sip.example.com",
    ] {
        assert!(mapping().contact_from_jid(&jid(text)).is_err(), "{text}");
    }
}

/// Specs T5: whatever a SIP party calls itself, the JID is in our domain and reads back as that
/// party, never as another.
#[test]
fn no_sip_name_reads_as_somebody_else() {
    for (user, host) in [
        ("ceo@example.com", "evil.example"),
        (r"ceo\40example.com", "evil.example"),
        ("ceo@example.com/desk", "evil.example"),
        ("+15551234567", "evil.example"),
        ("a/b", "evil.example"),
        ("\u{202e}oec", "evil.example"),
    ] {
        let address = Address {
            user: user.into(),
            host: host.into(),
            device: None,
        };
        if let Ok(jid) = mapping().contact_to_jid(&address) {
            assert_eq!(jid.domain().as_str(), "sip.example.com");
            let back = mapping().contact_from_jid(&jid).unwrap();
            assert_eq!(back.host, host, "{user}");
        }
    }
    for user in ["ceo@example.com", "ceo\\\u{feff}40example.com"] {
        let own = Address {
            user: user.into(),
            host: "sip.example.com".into(),
            device: None,
        };
        assert!(mapping().contact_to_jid(&own).is_err(), "{user}");
    }
}

#[test]
fn internationalised_domains_change_form_at_the_border() {
    assert_eq!(
        host_from_text("xn--bcher-kva.example").unwrap(),
        "bücher.example"
    );
    assert_eq!(
        host_to_ascii("bücher.example").unwrap(),
        "xn--bcher-kva.example"
    );
    assert_eq!(host_from_text("BÜCHER.example.").unwrap(), "bücher.example");
}

#[test]
fn a_domain_that_a_localpart_would_fold_into_another_comes_back() {
    let address = Address::new("romeo", "straße.example").unwrap();
    let contact = mapping().contact_to_jid(&address).unwrap();
    assert_eq!(
        contact,
        jid(r"romeo\40xn--strae-oqa.example@sip.example.com")
    );
    assert_eq!(mapping().contact_from_jid(&contact).unwrap(), address);
}

#[test]
fn hosts_that_are_none_are_refused() {
    for text in [
        "",
        ".",
        "a..b",
        "-a.example",
        "a b",
        "a/b",
        "a@b",
        "a\r\nb",
        "[::g]",
        "[a\r\nb",
        "[::1]x",
        "a;b",
        "a?b",
    ] {
        assert!(host_from_text(text).is_err(), "{text:?}");
    }
    assert_eq!(host_from_text("2001:db8::1").unwrap(), "[2001:db8::1]");
    assert_eq!(host_from_text("[2001:DB8::1]").unwrap(), "[2001:db8::1]");
}

#[test]
fn sip_users_outside_the_served_domains_are_nobody() {
    let mapping = mapping();
    assert!(
        mapping
            .user_from_sip("juliet%40example.com", "sip.example.com")
            .is_ok()
    );
    assert!(mapping.user_from_sip("juliet", "example.com").is_ok());
    assert!(
        mapping
            .user_from_sip("juliet%40example.org", "sip.example.com")
            .is_err()
    );
    assert!(mapping.user_from_sip("juliet", "192.0.2.1").is_err());
    assert!(
        mapping
            .user_from_sip("%40example.com", "sip.example.com")
            .is_err()
    );
}

#[test]
fn a_local_part_whose_escapes_do_not_come_back_is_refused() {
    let mapping = mapping();
    assert!(mapping.user_from_jid(&jid(r"a\5cx@example.com")).is_err());
    assert!(
        mapping
            .user_from_jid(&jid(r"o\27malley@example.com"))
            .is_ok()
    );
}

/// Characters that matter to either grammar come up often.
fn name() -> impl Strategy<Value = String> {
    let special = prop::sample::select(
        "@\\/:;?&='\"<> %#[]{}|^`+,.$!~*()-_2047acf5"
            .chars()
            .collect::<Vec<_>>(),
    );
    let any = prop_oneof![
        4 => special,
        3 => prop::char::range('a', 'z'),
        1 => prop::sample::select("äßé漢я".chars().collect::<Vec<_>>()),
    ];
    prop::collection::vec(any, 1..24).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn escaping_comes_back(text in name()) {
        if let Some(localpart) = escape::escape(&text) {
            prop_assert_eq!(escape::unescape(&localpart), text);
            prop_assert!(!localpart.contains(['@', '/', '"', '&', '\'', ':', '<', '>', ' ']));
        }
    }

    #[test]
    fn sip_user_parts_come_back(text in name()) {
        let part = uri::user_to_sip(&text);
        let allowed = |b: u8| b.is_ascii_graphic() && !b"@;?<>\"#[]\\^`{|}:,".contains(&b);
        prop_assert!(part.bytes().all(allowed), "{}", part);
        prop_assert_eq!(uri::user_from_sip(&part).unwrap(), text);
    }

    /// JID to address to SIP to address to JID is the identity for every contact.
    #[test]
    fn contacts_come_back_through_sip(text in name(), elsewhere in any::<bool>()) {
        let mapping = mapping();
        let written = if elsewhere { format!("{text}@example.net") } else { text };
        let Some(localpart) = escape::escape(&written) else { return Ok(()) };
        let Ok(start) = Jid::new(&format!("{localpart}@sip.example.com")) else { return Ok(()) };
        let Ok(address) = mapping.contact_from_jid(&start) else { return Ok(()) };
        let again = Address {
            user: uri::user_from_sip(&uri::user_to_sip(&address.user)).unwrap(),
            host: host_from_text(&host_to_ascii(&address.host).unwrap()).unwrap(),
            device: None,
        };
        prop_assert_eq!(&again, &address);
        let canonical = mapping.contact_to_jid(&again).unwrap();
        prop_assert_eq!(&mapping.contact_from_jid(&canonical).unwrap(), &address);
        // Numbers lose separators and hosts take their canonical form; everything else is as it was.
        let read = escape::unescape(start.node().unwrap().as_str());
        let own_form = read.ends_with(&address.host) || !read.contains('@');
        if number::parse(&read).is_none() && own_form {
            prop_assert_eq!(canonical, start);
        }
    }

    /// The same for every user of a served domain.
    #[test]
    fn users_come_back_through_sip(text in name(), device in prop::option::of(name())) {
        let mapping = mapping();
        let Some(localpart) = escape::escape(&text) else { return Ok(()) };
        let full = device.map_or_else(String::new, |device| format!("/{device}"));
        let Ok(start) = Jid::new(&format!("{localpart}@example.com{full}")) else { return Ok(()) };
        let Ok(address) = mapping.user_from_jid(&start) else { return Ok(()) };
        let mut again = mapping.user_from_sip(&mapping.user_to_sip(&address), "sip.example.com").unwrap();
        again.device = address
            .device
            .as_deref()
            .map(|device| uri::device_from_gr(&uri::device_to_gr(device)).unwrap());
        prop_assert_eq!(mapping.user_to_jid(&again).unwrap(), start);
    }

    #[test]
    fn no_text_makes_the_codecs_panic(text in "\\PC*", host in "\\PC*") {
        let _ = escape::escape(&text);
        let _ = escape::unescape(&text);
        let _ = uri::user_from_sip(&text);
        let _ = Address::new(&text, &host);
        let _ = mapping().user_from_sip(&text, &host);
    }
}

proptest! {
    /// The short way for plain domains gives what the long way gives.
    #[test]
    fn plain_domains_are_the_same_in_every_form(host in "[a-z0-9.-]{1,12}(xn--)?[a-z0-9.-]{0,8}") {
        if is_plain(&host) {
            prop_assert_eq!(idna::domain_to_ascii(&host).unwrap(), host.clone());
            let (unicode, result) = idna::domain_to_unicode(&host);
            prop_assert!(result.is_ok() && host.parse::<std::net::IpAddr>().is_err());
            prop_assert_eq!(unicode, host);
        }
    }
}
