//! Jingle of a hostile client, and what is offered and answered from it.

use tandem_b2bua::call::negotiate::{Encoding, xmpp as negotiate};
use tandem_b2bua::media::{Fingerprint, XmppLocal};
use tandem_component::call::translate;
use tandem_component::jingle::propose::Message;
use tandem_component::jingle::{Action, Jingle, Party};
use tandem_component::xml;
use tandem_shared::media::{Description, Direction, IceCredentials, bounds};

use super::xmpp::stanzas;

/// A session that was read is written as one that reads and writes the same, and stays within bounds.
/// Its description survives being offered again, and the b2bua answers or refuses it.
pub fn element(data: &[u8]) {
    for stanza in stanzas(data) {
        if let Some(message) = Message::read(&stanza) {
            let jid = jid::Jid::new("sip.example.com").expect("a valid JID");
            let written = message.write(&jid, &jid);
            let again = Message::read(&written).expect("what was written can be read");
            assert_eq!(again.write(&jid, &jid), written);
        }
        let Some(element) = stanza.get_child("jingle", xml::JINGLE) else {
            continue;
        };
        let Ok(jingle) = Jingle::read(element) else {
            continue;
        };
        let written = jingle.write(None, None);
        let again = Jingle::read(&written).expect("what was written can be read");
        assert_eq!(again.write(None, None), written);
        assert!(jingle.contents.len() <= bounds::STREAMS);
        for party in [Party::Initiator, Party::Responder] {
            if let Ok(description) = translate::offer(&jingle, party) {
                offered(&description, party);
                let _ = translate::answer(&jingle, &description, party);
            }
        }
        let _ = translate::trickles(&jingle);
    }
}

fn offered(description: &Description, party: Party) {
    let mut jingle = Jingle::new(Action::SessionInitiate, "s");
    jingle.contents = translate::contents(description, party);
    jingle.bundle.clone_from(&description.bundle);
    let again = translate::offer(&jingle, party);
    assert!(again.is_ok(), "{again:?}");
    let local = local();
    let terms = negotiate::Terms {
        local: &local,
        codecs: &Encoding::ALL,
        direction: Direction::Both,
        other: negotiate::codecs(description),
        now: None,
    };
    if let Ok(agreed) = negotiate::answer(&terms, description) {
        assert_eq!(agreed.ours.streams.len(), description.streams.len());
        let now = negotiate::Terms {
            now: Some(&agreed),
            ..terms
        };
        let _ = negotiate::offer(&now);
    }
    let _ = negotiate::accept(&terms, negotiate::offer(&terms), description);
}

fn local() -> XmppLocal {
    XmppLocal {
        ice: IceCredentials {
            ufrag: "ours".to_owned(),
            pwd: "a-password-of-ours-that-is-long".to_owned(),
        },
        fingerprint: Fingerprint {
            hash: "sha-256".to_owned(),
            value: "AA:BB".to_owned(),
        },
        candidates: Vec::new(),
        ssrc: 1,
        cname: "c".to_owned(),
    }
}
