//! The codecs of addresses: what was written reads back (RFC 7247 §6, XEP-0106).

use jid::Jid;
use tandem_shared::address::{Address, escape, host_from_text, host_to_ascii, number, uri};
use tandem_shared::refusal::Refusal;

use super::xmpp::mapping as gateway;

/// Escaped text is free of the characters a localpart may not hold, and comes back.
pub fn localpart(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _read = escape::unescape(&text);
    if let Some(localpart) = escape::escape(&text) {
        assert_eq!(escape::unescape(&localpart), text);
        assert!(!localpart.contains(['@', '/', '"', '&', '\'', ':', '<', '>', ' ']));
    }
    if let Some(number) = number::parse(&text) {
        assert_eq!(number::parse(number.as_str()), Some(number));
    }
}

/// Percent-encoded text is printable ASCII and comes back; what is read holds no control
/// characters.
pub fn user_part(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for read in [uri::user_from_sip(&text), uri::device_from_gr(&text)]
        .into_iter()
        .flatten()
    {
        assert!(!read.chars().any(char::is_control));
        for (written, back) in [
            (
                uri::user_to_sip(&read),
                uri::user_from_sip as fn(&str) -> Result<String, Refusal>,
            ),
            (uri::device_to_gr(&read), uri::device_from_gr),
        ] {
            assert!(written.bytes().all(|byte| byte.is_ascii_graphic()));
            assert_eq!(back(&written).as_ref(), Ok(&read));
        }
    }
}

/// The lines of an input are a JID, a SIP user part and a SIP host. Whoever they stand for, a
/// contact stays in our domain and both ways of writing lead back to the same party.
pub fn mapping(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (jid, part, host) = (line(), line(), line());
    let mapping = gateway();
    if let Ok(jid) = Jid::new(jid) {
        if let Ok(contact) = mapping.contact_from_jid(&jid) {
            check_contact(&contact);
        }
        if let Ok(user) = mapping.user_from_jid(&jid) {
            let part = mapping.user_to_sip(&user);
            if mapping.serves(&user.host) {
                let back = mapping
                    .user_from_sip(&part, "sip.example.com")
                    .expect("a user of ours");
                assert_eq!(back, user.account());
                assert_eq!(mapping.user_to_jid(&user).as_ref(), Ok(&jid));
            }
        }
    }
    if let Ok(user) = mapping.user_from_sip(part, host) {
        assert!(mapping.serves(&user.host));
        let jid = mapping
            .user_to_jid(&user)
            .expect("a user that was read has a JID");
        assert!(jid.resource().is_none());
    }
    let read = uri::user_from_sip(part).and_then(|user| Address::new(&user, host));
    if let Ok(address) = read {
        check_contact(&address);
    }
    if let Ok(host) = host_from_text(host) {
        let ascii = host_to_ascii(&host).expect("a host that was read can be written");
        assert!(ascii.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(host_from_text(&ascii), Ok(host));
    }
}

fn check_contact(contact: &Address) {
    let mapping = gateway();
    let Ok(jid) = mapping.contact_to_jid(contact) else {
        return;
    };
    assert_eq!(jid.domain().as_str(), "sip.example.com");
    // Case folds and numbers lose their separators once; after that nothing changes any more.
    if let Ok(read) = mapping.contact_from_jid(&jid) {
        assert_eq!(read.host, contact.host);
        if let Ok(again) = mapping.contact_to_jid(&read) {
            assert_eq!(mapping.contact_from_jid(&again), Ok(read));
        }
    }
}
