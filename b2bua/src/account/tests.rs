use tandem_shared::account::{Account, AccountEvent, AccountWhat};
use tandem_shared::address::Address;
use tandem_shared::bus::SessionId;
use tandem_shared::event::Event;
use tandem_shared::message::{Message, MessageId};

use super::AccountSettings;
use crate::action::{Action, Key, Record};
use crate::admin::Ask;
use crate::core::bench::{Bench, hop};
use crate::core::heard::heard;
use crate::message::request::tests::message as written;
use crate::settings::Settings;
use crate::settings::tests::settings;
use crate::sip::digest::Credential;
use crate::sip::endpoint::Admission;
use crate::sip::{Method, Request, Response, Status};
use crate::trunk::tests::trunk;
use crate::trunk::{Trunk, Trunks};
use std::sync::Arc;

const HOME: &str = "sip:alice@8.8.4.4";

/// Where users may have accounts anywhere.
pub(crate) fn open() -> Settings {
    let mut settings = settings();
    settings.accounts = AccountSettings {
        open: true,
        max: 3,
        per_user: 2,
        providers: vec!["*".into()],
        allow_private: false,
    };
    let gate = settings.trunks.gate();
    settings.endpoint.admission = Admission::new(move |source| gate.admits(source));
    settings
}

fn user(name: &str) -> Address {
    Address::new(name, "example.com").unwrap()
}

/// What comes back for a question of a user.
fn ask(bench: &mut Bench, name: &str, what: AccountWhat) -> AccountWhat {
    let user = user(name);
    let event = AccountEvent {
        id: "q".into(),
        user: user.clone(),
        what,
    };
    bench.say(SessionId::user(&user), Event::Account(Box::new(event)));
    let mut answers = Vec::new();
    bench.actions.retain(|action| {
        if let Action::Publish(envelope) = action
            && let Event::Account(event) = &envelope.event
        {
            answers.push(event.clone());
            return false;
        }
        true
    });
    assert_eq!(answers.len(), 1);
    let answer = answers.remove(0);
    assert_eq!((answer.id.as_str(), answer.user), ("q", user));
    answer.what
}

fn set(bench: &mut Bench, name: &str, account: Account) -> AccountWhat {
    ask(bench, name, AccountWhat::Set(Box::new(account)))
}

/// What is wrong with an account, in the words its owner hears.
fn problem(bench: &mut Bench, name: &str, account: Account) -> String {
    let answer = set(bench, name, account);
    let AccountWhat::Refused(refusal) = answer else {
        panic!("{answer:?}");
    };
    refusal.text.unwrap()
}

/// Says yes to a REGISTER, at the place of the account [`HOME`].
fn grant(bench: &mut Bench, request: &Request) {
    let contact = request.headers.get("Contact").unwrap();
    let response =
        Response::to(request, Status::OK).with("Contact", &format!("{contact};expires=600"));
    let mut bytes = Vec::new();
    response.print(&mut bytes);
    bench.packet("8.8.4.4:5060", &bytes);
}

/// A core with juliet's account [`HOME`], registered, and its REGISTER.
fn registered() -> (Bench, Request) {
    let mut bench = Bench::with(open());
    let answer = set(&mut bench, "juliet", Account::new(HOME, "s3cret"));
    assert!(
        matches!(answer, AccountWhat::Accounts(ref all) if all.len() == 1),
        "{answer:?}"
    );
    let (register, _) = bench.request();
    grant(&mut bench, &register);
    (bench, register)
}

fn stored(bench: &mut Bench) -> Vec<Action> {
    let kept = |action: &mut Action| {
        matches!(
            action,
            Action::Store(Record::Account { .. })
                | Action::Forget(Key::Account(..) | Key::LockedAccount(_))
        )
    };
    bench.actions.extract_if(.., kept).collect()
}

/// Juliet's own Contact at her provider, of the REGISTER.
fn line(register: &Request) -> String {
    let contact = register.headers.get("Contact").unwrap();
    let uri = contact.split(['<', '>']).nth(1).unwrap();
    uri.to_owned()
}

fn message(uri: &str, from: &str, id: &str) -> Vec<u8> {
    format!(
        "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 8.8.4.4;branch=z9hG4bK{id}\r\n\
        From: <{from}>;tag={id}\r\nTo: <{uri}>\r\nCall-ID: {id}\r\nCSeq: 1 MESSAGE\r\n\
        Max-Forwards: 70\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    )
    .into_bytes()
}

fn text(from: &str, to: &str) -> Message {
    let to = Address::new(to, "sip.example.com").unwrap();
    let id = format!("{from} to {}", to.user);
    Message {
        id: MessageId(id),
        to,
        ..written((from, "example.com"), ("x", "y"), "hi")
    }
}

#[test]
fn an_account_is_stored_registered_and_told_of_without_its_password() {
    let mut bench = Bench::with(open());
    let answer = set(
        &mut bench,
        "juliet",
        Account::new("alice@8.8.4.4", "s3cret"),
    );
    let AccountWhat::Accounts(all) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!((all[0].address.as_str(), all[0].registered), (HOME, None));
    let actions = stored(&mut bench);
    assert!(
        matches!(&*actions, [Action::Store(Record::Account { user: of, account })]
            if *of == user("juliet") && account.address == HOME),
        "{actions:?}"
    );
    let (register, transmit) = bench.request();
    assert_eq!(register.method, Method::Register);
    assert_eq!(hop(&transmit), "UDP 8.8.4.4:5060");
    assert_eq!(register.headers.get("To"), Some("<sip:alice@8.8.4.4>"));
    let challenge = "Digest realm=\"provider\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256";
    let refused = Response::to(&register, Status::UNAUTHORIZED).with("WWW-Authenticate", challenge);
    let mut bytes = Vec::new();
    refused.print(&mut bytes);
    bench.packet("8.8.4.4:5060", &bytes);
    let (register, _) = bench.request();
    let answer = register.headers.get("Authorization").unwrap();
    assert!(answer.contains("username=\"alice\""), "{answer}");
    grant(&mut bench, &register);
    let shown = ask(&mut bench, "juliet", AccountWhat::Show);
    assert!(
        matches!(&shown, AccountWhat::Accounts(all) if all[0].registered == Some(600)),
        "{shown:?}"
    );
    let others = ask(&mut bench, "romeo", AccountWhat::Show);
    assert_eq!(others, AccountWhat::Accounts(Vec::new()));
}

#[test]
fn what_comes_by_it_is_for_its_owner_alone() {
    let (mut bench, register) = registered();
    let line = line(&register);
    bench.packet("8.8.4.4:5060", &message(&line, "sip:bob@8.8.4.4", "a"));
    let messages = bench.messages();
    assert_eq!(messages.len(), 1, "{:?}", bench.codes());
    assert_eq!(messages[0].to, user("juliet"));
    assert_eq!(messages[0].from, Address::new("bob", "8.8.4.4").unwrap());
    // A registrar that names her as it knows her means the same.
    let known = "sip:alice@198.51.100.1";
    bench.packet("8.8.4.4:5060", &message(known, "sip:+4930123@8.8.4.4", "b"));
    let messages = bench.messages();
    assert_eq!(messages[0].to, user("juliet"));
    assert_eq!(messages[0].from.user, "+4930123");
    // Her provider reaches nobody else, whomever it names and says it is.
    let others = [
        "sip:romeo%40example.com@sip.example.com",
        "sip:+15550001@198.51.100.1",
        "sip:x@198.51.100.1",
    ];
    for (at, uri) in others.into_iter().enumerate() {
        bench.packet(
            "8.8.4.4:5060",
            &message(uri, "sip:eve@8.8.4.4", &format!("c{at}")),
        );
        assert_eq!(bench.messages(), []);
        assert_eq!(bench.codes(), [403], "{uri}");
    }
    bench.packet(
        "8.8.4.4:5060",
        &message(&line, "sip:romeo%40example.com@sip.example.com", "d"),
    );
    assert_eq!(bench.codes(), [403]);
    // Nobody else is let in for knowing her Contact.
    bench.packet("9.9.9.9:5060", &message(&line, "sip:bob@8.8.4.4", "e"));
    assert_eq!((bench.messages(), bench.codes()), (Vec::new(), Vec::new()));
}

#[test]
fn its_owner_writes_by_it_and_everybody_else_by_the_trunks_of_all() {
    let (mut bench, _) = registered();
    bench.send(text("juliet", "+15559001"));
    let (request, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 8.8.4.4:5060");
    let from = request.headers.get("From").unwrap();
    assert!(from.starts_with("<sip:alice@8.8.4.4>"), "{from}");
    bench.send(Message {
        to: Address::new("bob", "8.8.4.4").unwrap(),
        ..text("juliet", "x")
    });
    let (request, _) = bench.request();
    assert_eq!(request.uri.to_string(), "sip:bob@8.8.4.4");
    // Romeo has no account and no number.
    bench.send(text("romeo", "+15559001"));
    assert!(bench.requests().is_empty());
}

#[test]
fn an_account_for_being_called_leaves_calling_to_the_trunks_of_all() {
    let mut bench = Bench::with(open());
    let account = Account {
        outgoing: false,
        ..Account::new(HOME, "s3cret")
    };
    set(&mut bench, "juliet", account);
    let (register, _) = bench.request();
    grant(&mut bench, &register);
    bench.send(text("juliet", "+15559001"));
    let (_, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 192.0.2.1:5060");
}

#[test]
fn a_removed_account_is_taken_back_and_leaves_nothing() {
    let (mut bench, register) = registered();
    stored(&mut bench);
    let answer = ask(&mut bench, "romeo", AccountWhat::Remove(HOME.into()));
    assert!(matches!(answer, AccountWhat::Refused(_)), "{answer:?}");
    let answer = ask(&mut bench, "juliet", AccountWhat::Remove(HOME.into()));
    assert_eq!(answer, AccountWhat::Accounts(Vec::new()));
    assert_eq!(
        stored(&mut bench),
        [Action::Forget(Key::Account(user("juliet"), HOME.into()))]
    );
    let (last, _) = bench.request();
    assert_eq!(last.headers.get("Expires"), Some("0"));
    assert_eq!(last.call_id(), register.call_id());
    let owned = |bench: &Bench| {
        bench
            .core
            .trunks()
            .iter()
            .filter(|(_, it)| it.owner.is_some())
            .count()
    };
    assert_eq!(
        owned(&bench),
        1,
        "its password is needed until it is taken back"
    );
    grant(&mut bench, &last);
    assert_eq!(owned(&bench), 0);
    bench.packet(
        "8.8.4.4:5060",
        &message(&line(&register), "sip:bob@8.8.4.4", "z"),
    );
    assert_eq!((bench.messages(), bench.codes()), (Vec::new(), Vec::new()));
    bench.pass(4000);
    let sent = bench.requests();
    assert!(sent.is_empty(), "{sent:?}");
}

#[test]
fn one_that_is_removed_while_it_registers_is_taken_back_as_well() {
    let mut bench = Bench::with(open());
    set(&mut bench, "juliet", Account::new(HOME, "s3cret"));
    let (register, _) = bench.request();
    ask(&mut bench, "juliet", AccountWhat::Remove(HOME.into()));
    grant(&mut bench, &register);
    let (last, _) = bench.request();
    assert_eq!(last.headers.get("Expires"), Some("0"));
    grant(&mut bench, &last);
    assert!(
        bench
            .core
            .trunks()
            .iter()
            .all(|(_, trunk)| trunk.owner.is_none())
    );
}

#[test]
fn a_new_password_takes_the_place_of_the_old_one() {
    let (mut bench, first) = registered();
    set(&mut bench, "juliet", Account::new(HOME, "other"));
    let (second, _) = bench.request();
    assert_eq!(
        second.headers.get("Expires"),
        Some("3600"),
        "the old one is not taken back"
    );
    assert_eq!(line(&second), line(&first));
    grant(&mut bench, &second);
    bench.packet(
        "8.8.4.4:5060",
        &message(&line(&second), "sip:bob@8.8.4.4", "y"),
    );
    assert_eq!(bench.messages().len(), 1);
    assert_eq!(
        bench
            .core
            .trunks()
            .iter()
            .filter(|(_, it)| it.owner.is_some())
            .count(),
        1
    );
}

#[test]
fn what_was_stored_is_registered_again() {
    let mut bench = Bench::unlinked(open());
    let record = Record::Account {
        user: user("juliet"),
        account: Box::new(Account::new(HOME, "s3cret")),
    };
    let now = bench.now;
    bench.core.restore([record], now);
    bench.core.begin(now);
    bench.pass(0);
    assert_eq!(bench.request().0.method, Method::Register);
    assert!(stored(&mut bench).is_empty());
}

#[test]
fn servers_of_the_own_network_are_not_talked_to() {
    let mut bench = Bench::with(open());
    let inside = Account {
        server: Some("10.0.0.1:5070".into()),
        ..Account::new(HOME, "s3cret")
    };
    let own = Account::new("sip:alice@127.0.0.1", "s3cret");
    for (account, key) in [(inside, "server: "), (own, "address: ")] {
        let text = problem(&mut bench, "juliet", account);
        assert!(
            text.starts_with(key) && text.contains("accounts.allow_private"),
            "{text}"
        );
    }
    // Nor where a name leads there.
    set(
        &mut bench,
        "juliet",
        Account::new("sip:alice@inside.test", "s3cret"),
    );
    let queries: Vec<_> = bench
        .actions
        .extract_if(.., |it| matches!(it, Action::Resolve(_)))
        .collect();
    assert!(!queries.is_empty());
    bench.pass(60);
    assert!(bench.requests().is_empty());
}

/// An account at a provider that says nothing holds up nobody but its owner.
#[test]
fn who_waits_for_an_account_holds_up_nobody_else() {
    let (mut bench, _) = registered();
    bench.send(text("juliet", "+15559001"));
    assert_eq!(hop(&bench.request().1), "UDP 8.8.4.4:5060");
    let mut settings = open();
    settings.numbers = crate::number::Numbers::new([("+15550002".to_owned(), user("romeo"))]);
    let mut bench = Bench::with(settings);
    set(&mut bench, "juliet", Account::new(HOME, "s3cret"));
    let (register, _) = bench.request();
    grant(&mut bench, &register);
    bench.send(text("juliet", "+15559001"));
    bench.request();
    bench.send(text("romeo", "+15559001"));
    assert_eq!(hop(&bench.request().1), "UDP 192.0.2.1:5060");
}

/// A provider that nobody but a user has chosen takes neither all lines nor all places of messages.
#[test]
fn a_provider_takes_a_share_of_the_gateway_alone() {
    let (mut bench, register) = registered();
    let line = line(&register);
    for number in 0..80 {
        let (from, id) = (format!("sip:bob{number}@8.8.4.4"), format!("m{number}"));
        bench.packet("8.8.4.4:5060", &message(&line, &from, &id));
    }
    assert_eq!(bench.messages().len(), 64);
    assert_eq!(bench.codes(), [480; 16]);
    let (_, trunk) = bench
        .core
        .trunks()
        .iter()
        .find(|(_, it)| it.owner.is_some())
        .unwrap();
    assert_eq!(trunk.channels, 4);
}

/// What a registrar calls by name is the configuration's first, and a name is not somebody else's number.
#[test]
fn an_account_takes_no_calls_of_others() {
    let mut bench = Bench::with(open());
    let taken = Account::new("sip:+15550001@8.8.4.4", "s3cret");
    let text = problem(&mut bench, "romeo", taken.clone());
    assert!(text.contains("another user"), "{text}");
    assert!(matches!(
        set(&mut bench, "juliet", taken),
        AccountWhat::Accounts(_)
    ));
    // At the address of a trunk, that trunk is meant.
    set(
        &mut bench,
        "romeo",
        Account::new("sip:bob@192.0.2.1", "s3cret"),
    );
    let registers = bench.requests();
    let (register, _) = registers.last().unwrap();
    let contact = register.headers.get("Contact").unwrap();
    let response =
        Response::to(register, Status::OK).with("Contact", &format!("{contact};expires=600"));
    let mut bytes = Vec::new();
    response.print(&mut bytes);
    bench.packet("192.0.2.1:5060", &bytes);
    let named = message("sip:bob@198.51.100.1", "sip:eve@pbx.example.net", "n");
    bench.packet("192.0.2.1:5060", &named);
    assert_eq!(bench.messages(), []);
    assert_eq!(bench.codes(), [404]);
    bench.packet(
        "192.0.2.1:5060",
        &message(&line(register), "sip:eve@pbx.example.net", "l"),
    );
    assert_eq!(bench.messages()[0].to, user("romeo"));
}

#[test]
fn providers_that_are_not_allowed_are_not_reached_by_their_servers_either() {
    let mut settings = open();
    settings.accounts.providers = vec!["8.8.4.4".into()];
    let mut bench = Bench::with(settings);
    let around = Account {
        server: Some("evil.example".into()),
        ..Account::new(HOME, "s3cret")
    };
    let words = problem(&mut bench, "juliet", around);
    assert!(words.starts_with("server: "), "{words}");
    let elsewhere = Account::new("sip:alice@evil.example", "s3cret");
    let words = problem(&mut bench, "juliet", elsewhere);
    assert!(words.starts_with("address: accounts at this"), "{words}");
}

/// However it is written, it is the account it was when it was set.
#[test]
fn an_account_is_removed_by_any_spelling_of_its_address() {
    for written in [
        "sip:alice@8.8.4.4",
        "alice@8.8.4.4",
        "SIP:alice@8.8.4.4",
        "sip:%61lice@8.8.4.4.",
    ] {
        let (mut bench, _) = registered();
        stored(&mut bench);
        let now = bench.now;
        let ask = Ask::RemoveAccount {
            address: written.into(),
            user: None,
        };
        let answer = bench.core.ask(&ask, now);
        assert!(answer.ok, "{written}: {}", answer.text);
        bench.pass(0);
        let key = Key::Account(user("juliet"), HOME.into());
        assert!(
            stored(&mut bench).contains(&Action::Forget(key)),
            "{written}"
        );
    }
    let mut bench = Bench::with(open());
    set(
        &mut bench,
        "juliet",
        Account::new("a%2Fb@Provider.Example.", "x"),
    );
    let ask = Ask::RemoveAccount {
        address: "sip:a/b@PROVIDER.example".into(),
        user: None,
    };
    assert!(bench.core.ask(&ask, bench.now).ok);
    let other = Ask::RemoveAccount {
        address: "sip:A/b@provider.example".into(),
        user: None,
    };
    assert!(!bench.core.ask(&other, bench.now).ok);
}

/// Where a PBX that shows a password and an account are at one address, each is let in as what it is.
#[test]
fn an_account_at_the_address_of_a_guest_does_not_shut_it_out() {
    let mut settings = open();
    let guest = Trunk {
        inbound: Vec::new(),
        inbound_account: Some(Credential {
            user: "pbx".into(),
            password: "word".into(),
            realm: None,
        }),
        ..trunk("guest", &["*@pbx.example.net"], Some("8.8.4.4"))
    };
    settings.trunks = Arc::new(Trunks::new(vec![guest]));
    settings.endpoint.accounts = settings.trunks.accounts();
    let (gate, same) = (settings.trunks.gate(), settings.trunks.gate());
    settings.endpoint.admission = Admission::new(move |source| gate.admits(source))
        .with_trust(move |source| same.trusts(source))
        .with_strangers(true, false);
    let mut bench = Bench::with(settings);
    set(&mut bench, "juliet", Account::new(HOME, "s3cret"));
    let (register, _) = bench.request();
    grant(&mut bench, &register);
    let line = line(&register);
    bench.packet(
        "8.8.4.4:5060",
        &message("sip:+15550001@198.51.100.1", "sip:bob@8.8.4.4", "g"),
    );
    assert_eq!((bench.messages(), bench.codes()), (Vec::new(), vec![401]));
    bench.packet("8.8.4.4:5060", &message(&line, "sip:bob@8.8.4.4", "h"));
    assert_eq!(bench.messages().len(), 1);
}

/// How others are spelled is not for a user's provider to say.
#[test]
fn an_account_spells_nobody_but_those_of_its_provider() {
    let (mut bench, register) = registered();
    let line = line(&register);
    let spelled = |bench: &mut Bench| -> Vec<Action> {
        let spelling = |it: &mut Action| matches!(it, Action::Store(Record::Spelling { .. }));
        bench.actions.extract_if(.., spelling).collect()
    };
    bench.packet(
        "8.8.4.4:5060",
        &message(&line, "sip:BOB@pbx.example.net", "s1"),
    );
    assert_eq!(spelled(&mut bench), []);
    bench.packet("8.8.4.4:5060", &message(&line, "sip:BOB@8.8.4.4", "s2"));
    assert_eq!(spelled(&mut bench).len(), 1);
}

/// An INVITE that wants to take the place of a call it has nothing to do with is answered.
#[test]
fn an_account_does_not_leave_requests_unanswered() {
    let (mut bench, _) = registered();
    let invite = String::from_utf8(message("sip:x@198.51.100.1", "sip:eve@8.8.4.4", "r")).unwrap();
    let invite = invite.replace("MESSAGE", "INVITE");
    bench.packet("8.8.4.4:5060", invite.as_bytes());
    let codes = bench.codes();
    assert_eq!(codes.last(), Some(&403), "{codes:?}");
}

#[test]
fn a_bad_account_is_refused_in_words_that_name_what_is_wrong() {
    let mut bench = Bench::with(open());
    let good = || Account::new(HOME, "s3cret");
    let cases = [
        (Account::new("alice", "x"), "address: write"),
        (Account::new("sip:8.8.4.4", "x"), "address: write"),
        (
            Account::new("sips:alice@8.8.4.4", "x"),
            "address: sips: cannot be kept",
        ),
        (Account::new("sip:alice@8.8.4.4;lr", "x"), "address: write"),
        (
            Account::new("sip:alice@8.8.4.4:5070", "x"),
            "provider.example:5070 as server",
        ),
        (Account::new("sip:a%0d%0a@8.8.4.4", "x"), "address: write"),
        (
            Account::new("sip:alice@sip.example.com", "x"),
            "gateway itself",
        ),
        (Account::new("sip:alice@example.com", "x"), "gateway itself"),
        (Account::new(HOME, ""), "login, password:"),
        (Account::new(HOME, "a\r\nb"), "login, password:"),
        (
            Account {
                login: Some("a\nb".into()),
                ..good()
            },
            "login, password:",
        ),
        (
            Account {
                server: Some("a b".into()),
                ..good()
            },
            "server: write",
        ),
        (
            Account {
                transport: Some("carrier-pigeon".into()),
                ..good()
            },
            "transport: write",
        ),
        (
            Account {
                number_format: Some("roman".into()),
                ..good()
            },
            "number_format: write",
        ),
    ];
    for (account, words) in cases {
        let shown = format!("{account:?}");
        let text = problem(&mut bench, "juliet", account);
        assert!(text.contains(words), "{shown}: {text}");
        bench.pass(60);
    }
    assert!(bench.requests().is_empty() && stored(&mut bench).is_empty());
}

#[test]
fn accounts_are_bounded() {
    let mut settings = open();
    settings.accounts.providers = vec!["8.8.4.4".into(), "*.example.org".into()];
    let mut bench = Bench::with(settings);
    let at = |name: &str| Account::new(format!("sip:{name}@8.8.4.4"), "s3cret");
    set(&mut bench, "juliet", at("a"));
    let elsewhere = Account::new("sip:a@8.8.8.8", "s3cret");
    assert!(problem(&mut bench, "juliet", elsewhere).contains("not allowed here"));
    set(&mut bench, "juliet", at("b"));
    let full = problem(&mut bench, "juliet", at("c"));
    assert!(
        full.contains("as many accounts of one user as are allowed (2, accounts.per_user)"),
        "{full}"
    );
    set(&mut bench, "romeo", at("c"));
    let full = problem(&mut bench, "romeo", at("d"));
    assert!(
        full.contains("as many accounts as are allowed in all (3, accounts.max)"),
        "{full}"
    );
    // One that is there already may change.
    assert!(matches!(
        set(&mut bench, "juliet", at("a")),
        AccountWhat::Accounts(_)
    ));
    let stranger = AccountEvent {
        id: "q".into(),
        user: Address::new("eve", "elsewhere.example").unwrap(),
        what: AccountWhat::Set(Box::new(at("e"))),
    };
    bench.say(SessionId::control(), Event::Account(Box::new(stranger)));
    let refused = |action: &Action| {
        matches!(action, Action::Publish(envelope)
        if matches!(&envelope.event, Event::Account(event) if matches!(event.what, AccountWhat::Refused(_))))
    };
    assert!(bench.actions.iter().any(refused));
}

/// Each change is a REGISTER at a place that its user names, and a row that is written.
#[test]
fn accounts_are_changed_so_often_and_no_oftener() {
    let mut bench = Bench::with(open());
    let wrong = |bench: &mut Bench, name: &str| problem(bench, name, Account::new(HOME, ""));
    let mut changes = 0;
    for minute in 0..10 {
        while wrong(&mut bench, "juliet").contains("login, password:") {
            changes += 1;
        }
        assert!(changes <= 6 * (minute + 1), "{changes}");
        if minute == 0 {
            let text = wrong(&mut bench, "juliet");
            assert!(text.contains("Wait a minute"), "{text}");
            let good = problem(&mut bench, "juliet", Account::new(HOME, "s3cret"));
            assert!(good.contains("Wait a minute"), "{good}");
            assert!(stored(&mut bench).is_empty() && bench.requests().is_empty());
            // Others, and what changes nothing, are as before.
            assert!(wrong(&mut bench, "romeo").contains("login, password:"));
            let shown = ask(&mut bench, "juliet", AccountWhat::Show);
            assert_eq!(shown, AccountWhat::Accounts(Vec::new()));
        }
        bench.pass(60);
    }
    let mut text = wrong(&mut bench, "juliet");
    while text.contains("login, password:") {
        changes += 1;
        text = wrong(&mut bench, "juliet");
    }
    assert!((30..36).contains(&changes), "{changes}");
    assert!(text.contains("in an hour"), "{text}");
    // The admin is not bounded.
    let now = bench.now;
    let set = Ask::SetAccount {
        user: "juliet@example.com".into(),
        account: Box::new(Account::new(HOME, "s3cret")),
    };
    assert!(bench.core.ask(&set, now).ok);
    bench.pass(3600);
    assert!(wrong(&mut bench, "juliet").contains("login, password:"));
}

#[test]
fn without_a_key_there_are_none() {
    let mut bench = Bench::new();
    let text = problem(&mut bench, "juliet", Account::new(HOME, "s3cret"));
    assert!(text.contains("accounts.key"), "{text}");
}

#[test]
fn an_admin_keeps_shows_and_forgets_them() {
    let mut bench = Bench::with(open());
    let now = bench.now;
    let mut ask = |ask: Ask| bench.core.ask(&ask, now);
    let set = |user: &str| Ask::SetAccount {
        user: user.into(),
        account: Box::new(Account::new(HOME, "s3cret")),
    };
    let eve = ask(set("eve@elsewhere.example"));
    assert!(
        !eve.ok && eve.text.contains("no user of example.com"),
        "{}",
        eve.text
    );
    // Before the password is typed: everything but that is looked at, and nothing kept.
    let check = |user: &str, address: &str| Ask::CheckAccount {
        user: user.into(),
        account: Box::new(Account::new(address, "")),
    };
    assert!(!ask(check("eve@elsewhere.example", HOME)).ok);
    assert!(!ask(check("juliet@example.com", "sip:alice@8.8.4.4:1")).ok);
    assert!(ask(check("juliet@example.com", HOME)).ok);
    assert_eq!(ask(Ask::Accounts { user: None }).text, "no accounts\n");
    assert!(ask(set("juliet@example.com")).ok);
    let shown = ask(Ask::Accounts { user: None });
    assert_eq!(
        shown.text,
        format!("juliet@example.com: {HOME}, registering\n")
    );
    assert!(!ask(Ask::Trunks).text.contains("account"));
    let none = ask(Ask::Accounts {
        user: Some("romeo@example.com".into()),
    });
    assert_eq!(none.text, "no accounts\n");
    let remove = || Ask::RemoveAccount {
        address: HOME.into(),
        user: None,
    };
    assert!(ask(remove()).ok);
    let again = ask(remove());
    assert!(
        !again.ok && again.text.contains("no account"),
        "{}",
        again.text
    );
}

/// The name leads into the own network: that is said, and which key forbids it.
#[test]
fn a_server_in_the_own_network_is_not_called_one_without_address() {
    let problem = |addresses: &[&str], allow_private: bool| {
        let mut settings = open();
        settings.accounts.allow_private = allow_private;
        let mut bench = Bench::with(settings);
        let account = Account {
            server: Some("provider.example:5060".into()),
            transport: Some("udp".into()),
            ..Account::new("sip:alice@provider.example", "s3cret")
        };
        set(&mut bench, "juliet", account);
        let found = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        let query = crate::dns::Query::Addresses("provider.example".into());
        let life = std::time::Duration::from_secs(60);
        let answer = crate::dns::Answer::Found(crate::dns::Records::Addresses(found), life);
        bench.core.handle_dns(query, answer, bench.now);
        bench.pass(0);
        let AccountWhat::Accounts(all) = ask(&mut bench, "juliet", AccountWhat::Show) else {
            panic!("no accounts");
        };
        (
            all[0].problem.clone().unwrap_or_default(),
            bench.requests().len(),
        )
    };
    let (shut, sent) = problem(&["10.0.0.1"], false);
    assert!(
        shut.contains("accounts.allow_private") && sent == 0,
        "{shut}"
    );
    assert_eq!(
        problem(&[], false),
        ("The registrar has no address.".into(), 0)
    );
    assert_eq!(problem(&["10.0.0.1", "8.8.4.4"], false), (String::new(), 1));
    assert_eq!(problem(&["10.0.0.1"], true), (String::new(), 1));
}

/// A user's account has no keys in the configuration that could be checked.
#[test]
fn a_refused_account_names_the_command_that_mends_it() {
    let mut bench = Bench::with(open());
    set(&mut bench, "juliet", Account::new(HOME, "s3cret"));
    let (register, _) = bench.request();
    let refused = Response::to(&register, Status::FORBIDDEN);
    let mut bytes = Vec::new();
    refused.print(&mut bytes);
    let said = heard(|| bench.packet("8.8.4.4:5060", &bytes));
    let error = said.iter().find(|line| line.starts_with("ERROR")).unwrap();
    assert!(
        error.contains("account set") && !error.contains("check username"),
        "{error}"
    );
}

/// An address is nobody's for having been named first: who has its password is reached by it.
#[test]
fn two_users_may_bring_one_account_and_a_wrong_password_blocks_nobody() {
    let mut bench = Bench::with(open());
    set(&mut bench, "romeo", Account::new(HOME, "guessed"));
    let (guess, _) = bench.request();
    bench.answer(&guess, 403, None);
    let answer = set(&mut bench, "juliet", Account::new(HOME, "s3cret"));
    assert!(matches!(answer, AccountWhat::Accounts(_)), "{answer:?}");
    let (register, _) = bench.request();
    assert_ne!(line(&register), line(&guess));
    // Neither takes the place of the other where both are known (RFC 5626 §6).
    let instance = |request: &Request| {
        let contact = request.headers.get("Contact").unwrap();
        contact.split("sip.instance=").nth(1).unwrap().to_owned()
    };
    assert_ne!(instance(&register), instance(&guess));
    grant(&mut bench, &register);
    // The gate knows her registrar now; what names his Contact there is his own.
    bench.packet(
        "8.8.4.4:5060",
        &message(&line(&register), "sip:bob@8.8.4.4", "a"),
    );
    bench.packet(
        "8.8.4.4:5060",
        &message("sip:alice@198.51.100.1", "sip:bob@8.8.4.4", "b"),
    );
    let to: Vec<Address> = bench.messages().into_iter().map(|it| it.to).collect();
    assert_eq!(to, [user("juliet"), user("juliet")]);
    let now = bench.now;
    let remove = |user: Option<&str>| Ask::RemoveAccount {
        address: HOME.into(),
        user: user.map(str::to_owned),
    };
    let answer = bench.core.ask(&remove(None), now);
    assert!(
        !answer.ok && answer.text.contains("say whose"),
        "{}",
        answer.text
    );
    assert!(bench.core.ask(&remove(Some("romeo@example.com")), now).ok);
    let shown = bench.core.ask(&Ask::Accounts { user: None }, now);
    assert_eq!(
        shown.text,
        format!("juliet@example.com: {HOME}, registered for 600 s more\n")
    );
}

/// What the configuration does not let in any more is told of, and goes when somebody says so.
#[test]
fn an_account_that_cannot_be_used_is_listed_and_removed() {
    let mut settings = open();
    settings.accounts.providers = vec!["provider.example".into()];
    let mut bench = Bench::unlinked(settings);
    let kept = |of: Address| Record::Account {
        user: of,
        account: Box::new(Account::new(HOME, "s3cret")),
    };
    let gone = Address::new("eve", "former.example").unwrap();
    let now = bench.now;
    bench
        .core
        .restore([kept(user("juliet")), kept(gone.clone())], now);
    bench.core.restore_locked([77]);
    bench.core.begin(now);
    bench.link();
    bench.pass(1);
    assert!(bench.requests().is_empty());
    let text = bench.core.ask(&Ask::Accounts { user: None }, now).text;
    let lines: Vec<&str> = text.lines().collect();
    let [eve, juliet, locked] = lines.as_slice() else {
        panic!("{text}");
    };
    assert!(
        eve.contains("eve@former.example: sip:alice") && eve.contains("is no user"),
        "{eve}"
    );
    assert!(
        juliet.contains("NOT REGISTERED (It cannot be used here: ")
            && juliet.contains("not allowed here"),
        "{juliet}"
    );
    assert!(locked.contains("CANNOT BE OPENED"), "{locked}");
    // Its user sees it too, and no other's.
    let shown = ask(&mut bench, "juliet", AccountWhat::Show);
    assert!(
        matches!(&shown, AccountWhat::Accounts(all) if all.len() == 1
        && all[0].problem.as_ref().unwrap().contains("not allowed here")),
        "{shown:?}"
    );
    let remove = |address: &str, user: Option<&str>| Ask::RemoveAccount {
        address: address.into(),
        user: user.map(str::to_owned),
    };
    let answer = ask(&mut bench, "juliet", AccountWhat::Remove(HOME.into()));
    assert_eq!(answer, AccountWhat::Accounts(Vec::new()));
    assert!(
        bench
            .core
            .ask(&remove(HOME, Some("eve@former.example")), now)
            .ok
    );
    let id = locked.split(':').next().unwrap();
    assert!(bench.core.ask(&remove(id, None), now).ok);
    bench.pass(0);
    assert_eq!(
        stored(&mut bench),
        [
            Action::Forget(Key::Account(user("juliet"), HOME.into())),
            Action::Forget(Key::Account(gone, HOME.into())),
            Action::Forget(Key::LockedAccount(77)),
        ]
    );
    let shown = bench.core.ask(&Ask::Accounts { user: None }, now);
    assert_eq!(shown.text, "no accounts\n");
}

/// A new account in the place of one that could not be opened is not removed as that one.
#[test]
fn an_account_set_anew_is_not_locked_any_more() {
    let mut bench = Bench::with(open());
    let id = crate::account::row_id(&[7; 16], &user("juliet"), HOME);
    bench.core.restore_locked([id]);
    set(&mut bench, "juliet", Account::new(HOME, "s3cret"));
    let now = bench.now;
    let shown = bench.core.ask(&Ask::Accounts { user: None }, now).text;
    assert!(!shown.contains("CANNOT BE OPENED"), "{shown}");
}

/// While the registrar may call it is heard, though it does not answer; and no longer.
#[test]
fn a_registrar_is_let_in_for_as_long_as_it_keeps_the_registration() {
    let (mut bench, register) = registered();
    let line = line(&register);
    bench.pass(590);
    bench.packet("8.8.4.4:5060", &message(&line, "sip:bob@8.8.4.4", "late"));
    assert_eq!(bench.messages().len(), 1, "{:?}", bench.codes());
    bench.pass(20);
    let unknown = bench.core.counters().1.unknown_source;
    bench.packet("8.8.4.4:5060", &message(&line, "sip:bob@8.8.4.4", "over"));
    assert_eq!(bench.core.counters().1.unknown_source, unknown + 1);
    assert_eq!(bench.messages(), []);
    // It is let in again when it takes us again.
    bench.requests();
    for _ in 0..3600 {
        bench.pass(1);
        if let Some((register, _)) = bench.requests().pop() {
            grant(&mut bench, &register);
            break;
        }
    }
    bench.packet("8.8.4.4:5060", &message(&line, "sip:bob@8.8.4.4", "again"));
    assert_eq!(bench.messages().len(), 1, "{:?}", bench.codes());
}

/// Whoever names a provider's address with a port that is shut, or a password that gets 503, does not have the
/// provider of all put last, nor that of another user.
#[test]
fn what_an_account_finds_out_of_places_is_its_own_affair() {
    let mut settings = open();
    let two = Trunk {
        name: "b".into(),
        ..trunk("b", &["+*"], Some("two.test:5060"))
    };
    settings.trunks = Arc::new(Trunks::new(vec![two]));
    settings.accounts.allow_private = true;
    let mut bench = Bench::with(settings);
    let names = |bench: &mut Bench| {
        let addresses = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        let answer = crate::dns::Answer::Found(
            crate::dns::Records::Addresses(addresses.to_vec()),
            std::time::Duration::from_secs(86_400),
        );
        let query = crate::dns::Query::Addresses("two.test".into());
        bench.core.handle_dns(query, answer, bench.now);
        bench.pass(0);
    };
    for name in ["juliet", "romeo"] {
        let account = Account {
            server: Some("two.test:5060".into()),
            ..Account::new("sip:alice@provider.example", "s3cret")
        };
        set(&mut bench, name, account);
        if name == "juliet" {
            names(&mut bench);
            let (first, to) = bench.request();
            assert_eq!(hop(&to), "UDP 192.0.2.1:5060");
            bench.answer(&first, 503, Some(("Retry-After", "3600")));
        }
        let (second, to) = bench.request();
        let wanted = match name {
            "juliet" => "UDP 192.0.2.2:5060",
            _ => "UDP 192.0.2.1:5060",
        };
        assert_eq!(hop(&to), wanted, "{name}");
        bench.answer(&second, 403, None);
    }
    bench.send(text("mercutio", "+15559001"));
    assert_eq!(hop(&bench.request().1), "UDP 192.0.2.1:5060");
}
