//! RFC 3891 §3, §5: who may take a call over. Whom only a user has chosen, its own account's provider, takes
//! nobody's.

use super::*;
use crate::admin::Ask;
use tandem_shared::account::Account;

/// Users' accounts, each at the address behind it.
const ACCOUNTS: [(&str, &str); 2] = [("eve", "8.8.4.4"), ("mallory", "8.8.8.8")];

/// The core with these accounts registered, and the Contact of each there.
fn bench() -> (Bench, Vec<String>) {
    let mut bench = Bench::with(crate::account::tests::open());
    let mut contacts = Vec::new();
    for (name, ip) in ACCOUNTS {
        let ask = Ask::SetAccount {
            user: format!("{name}@example.com"),
            account: Box::new(Account::new(format!("sip:{name}@{ip}"), "s3cret")),
        };
        assert!(bench.core.ask(&ask, bench.now).ok);
        bench.pass(0);
        let (register, _) = bench.request();
        let contact = register.headers.get("Contact").unwrap();
        let granted =
            Response::to(&register, Status::OK).with("Contact", &format!("{contact};expires=3600"));
        let mut bytes = Vec::new();
        granted.print(&mut bytes);
        bench.packet(&format!("{ip}:5060"), &bytes);
        contacts.push(contact.split(['<', '>']).nth(1).unwrap().to_owned());
    }
    bench.actions.clear();
    (bench, contacts)
}

/// An INVITE from `ip` to `uri`, which wants the place of the call that `ours` began.
fn grab(branch: &str, ours: &Request, ip: &str, uri: &str) -> Vec<u8> {
    let text = String::from_utf8(replacing(branch, ours, PCMU, "")).unwrap();
    text.replace(PEER, &format!("{ip}:5060"))
        .replace(
            "INVITE sip:juliet%40example.com@sip.example.com",
            &format!("INVITE {uri}"),
        )
        .into_bytes()
}

/// Both providers try, by their Contacts and by whatever names the call; nothing comes of it.
fn all_try(bench: &mut Bench, contacts: &[String], ours: &Request, but: &str) {
    bench.actions.clear();
    let others = ACCOUNTS.iter().zip(contacts);
    for ((name, ip), contact) in others.filter(|((name, _), _)| *name != but) {
        let named = format!("sip:{name}@198.51.100.1");
        let juliet = "sip:juliet%40example.com@sip.example.com";
        for uri in [contact.as_str(), &named, juliet] {
            let branch = format!("{ip}{}{}", uri.len(), ours.call_id().len());
            let peer = format!("{ip}:5060");
            bench.packet(&peer, &grab(&branch, ours, ip, uri));
            assert_eq!(bench.codes(), [481], "{name} {uri}");
        }
    }
    assert_eq!(bench.requests(), []);
    assert_eq!((bench.facts(), bench.commands()), (Vec::new(), Vec::new()));
    assert_eq!(bench.core.calls().0, 1);
}

#[test]
fn the_provider_of_an_account_takes_no_call_of_another_user_over() {
    for answered in [false, true] {
        let (mut bench, contacts) = bench();
        bench.fact(offer(Some(description("x", Setup::Actpass))));
        bench.open_media();
        let (ours, _) = bench.request();
        let (code, body) = if answered { (200, PCMU) } else { (180, "") };
        bench.respond(&ours, code, body);
        all_try(&mut bench, &contacts, &ours, "");
        // The trunk of the call may: the INVITE is right.
        let peer = PEER.split(':').next().unwrap();
        let juliet = "sip:juliet%40example.com@sip.example.com";
        bench.packet(PEER, &grab("ok", &ours, peer, juliet));
        assert_eq!(bench.codes().last(), Some(&200));
    }
}

/// Nor that of another account, and a trunk takes none of an account's over.
#[test]
fn a_call_by_an_account_is_taken_over_at_its_provider_alone() {
    let (mut bench, contacts) = bench();
    let call = CallId("own".into());
    let offer = Offer {
        from: address("eve", "example.com"),
        to: address("+15559001", "sip.example.com"),
        name: None,
        media: vec![Media::Audio],
        description: Some(description("x", Setup::Actpass)),
        hops: 69,
    };
    bench.fact_of(&call, Fact::Offer(Box::new(offer)));
    bench.open_media();
    let (ours, transmit) = bench.request();
    assert_eq!(crate::core::bench::hop(&transmit), "UDP 8.8.4.4:5060");
    bench.respond(&ours, 200, PCMU);
    all_try(&mut bench, &contacts, &ours, "eve");
    let peer = PEER.split(':').next().unwrap();
    let juliet = "sip:juliet%40example.com@sip.example.com";
    bench.packet(PEER, &grab("trunk", &ours, peer, juliet));
    assert_eq!(bench.codes(), [481]);
    let (ip, contact) = (ACCOUNTS[0].1, &contacts[0]);
    bench.packet("8.8.4.4:5060", &grab("own", &ours, ip, contact));
    assert_eq!(bench.codes().last(), Some(&200));
}
