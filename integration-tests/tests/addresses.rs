//! Addresses cross both ways and come back as they were (checklist rows A01-A11).

use anyhow::{Result, ensure};
use integration_tests::scene::{Plan, TRUNK, trunk};
use integration_tests::sip::Draft;
use integration_tests::tandem::{Trunk, with_tandem};
use integration_tests::{Bench, Scene, Server, on_both_servers};

on_both_servers!(
    /// A01: `+E164@gateway` and numbers in `sip:` with `user=phone` and in `tel:`.
    numbers_are_numbers_on_both_sides,
    /// A02, A03: all characters XEP-0106 escapes, there and back.
    contacts_come_back_as_the_same_jid,
);

fn numbers_are_numbers_on_both_sides(bench: &Bench, server: Server) -> Result<()> {
    let scene = Scene::open(bench, server)?;
    let contact = scene.contact("+15550123");
    let request = scene.carry("+15550123", "m1", "to a number")?;
    request.reparse()?;
    let uri = request.uri();
    ensure!(
        uri.starts_with("sip:+15550123@") && uri.ends_with(";user=phone"),
        "{uri}"
    );

    // Visual separators are none of the number.
    let request = scene.carry("+1-555-0123", "m2", "with separators")?;
    ensure!(request.uri() == uri, "{}", request.uri());

    for from in [
        "sip:+15550123@phones.test;user=phone",
        "sip:+15550123@phones.test",
        "tel:+1-555-0123",
    ] {
        let draft = Draft::message(&scene.uri("alice"), from, from);
        ensure!(scene.ask(&draft)?.status() == Some(202), "{from}");
        let message = scene.alice.expect_body(from)?;
        ensure!(
            message.from().split('/').next() == Some(contact.as_str()),
            "{from} became {}",
            message.from()
        );
    }
    Ok(())
}

fn contacts_come_back_as_the_same_jid(bench: &Bench, server: Server) -> Result<()> {
    let scene = Scene::open(bench, server)?;
    let users = [
        "bob",
        r"o\27malley",
        r"a\20b",
        r"x\40y",
        r"q\22q",
        r"a\26b",
        r"a\2fb",
        r"a\3ab",
        r"a\3cb\3e",
        r"back\slash",
        r"c\5c20",
        "semi;colon=1",
        "100%",
        "ünïcode",
        "[x]^{|}`#",
    ];
    for (at, user) in users.into_iter().enumerate() {
        let contact = format!(r"{user}\40phones.test");
        let (there, back) = (format!("to {at}"), format!("from {at}"));
        let request = scene.carry(&contact, &there, &there)?;
        let uri = request.uri();
        ensure!(request.header("To") == format!("<{uri}>"), "{request}");
        let draft = Draft::message(&scene.uri("alice"), &uri, &back);
        let answer = scene.ask(&draft)?;
        ensure!(answer.status() == Some(202), "{uri}: {answer}");
        let message = scene.alice.expect_body(&back)?;
        ensure!(
            message.from() == scene.contact(&contact),
            "{user} went as {uri} and came as {}",
            message.from()
        );
    }
    Ok(())
}

/// A04: what SIP cannot write in a user part is percent-encoded.
#[test]
fn user_parts_are_percent_encoded_where_sip_wants_it() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let cases = [
            ("tschüss", "tsch%C3%BCss"),
            ("a#b", "a%23b"),
            ("100%", "100%25"),
            ("[a]", "%5Ba%5D"),
            ("a^b`c", "a%5Eb%60c"),
            ("{a|b}", "%7Ba%7Cb%7D"),
            (r"x\40y", "x%40y"),
            (r"a\20b", "a%20b"),
            (r"a\3ab", "a%3Ab"),
            (r"a\3cb\3e", "a%3Cb%3E"),
            (r"a\22b", "a%22b"),
            (r"m\26m", "m&m"),
            (r"o\27malley", "o'malley"),
            ("a!$(*)+-.=_~b", "a!$(*)+-.=_~b"),
            // Allowed, but many peers cut a user part at them.
            ("a,b;c?d", "a%2Cb%3Bc%3Fd"),
        ];
        for (at, (localpart, user)) in cases.into_iter().enumerate() {
            let text = format!("m{at}");
            let request = scene.carry(&format!(r"{localpart}\40phones.test"), &text, &text)?;
            ensure!(
                request.uri() == format!("sip:{user}@phones.test"),
                "{localpart} became {}",
                request.uri()
            );
        }
        Ok(())
    })
}

/// A05, A09: `im:` and `pres:` are taken; other schemes and `sips:` are refused.
#[test]
fn only_schemes_we_can_honour_are_taken() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let user = scene.uri("alice");
        let (_, address) = user.split_once(':').unwrap_or_default();
        for scheme in ["im", "pres"] {
            let draft = Draft::message(
                &format!("{scheme}:{address}"),
                "sip:bob@phones.test",
                scheme,
            );
            ensure!(scene.ask(&draft)?.status() == Some(202), "{scheme}");
            scene.alice.expect_body(scheme)?;
        }
        for uri in [
            format!("sips:{address}"),
            format!("mailto:{address}"),
            format!("xmpp:{address}"),
            "http://localhost/".to_owned(),
            "urn:service:counseling".to_owned(),
        ] {
            let answer = scene.ask(&Draft::message(&uri, "sip:bob@phones.test", "no"))?;
            ensure!(
                answer.status() == Some(416) || uri.starts_with("urn:"),
                "{uri}: {answer}"
            );
            ensure!(
                answer
                    .status()
                    .is_some_and(|status| (400..500).contains(&status)),
                "{uri}: {answer}"
            );
        }
        scene
            .alice
            .expect_none("message", |stanza| stanza.body() == Some("no"))
    })
}

/// A06: a resource is a `gr` of the Request-URI, never of From or To; a `gr` is a resource.
#[test]
fn devices_are_gruus() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let to = format!("{}/Desk Phone", scene.contact(r"bob\40phones.test"));
        scene.alice.send_chat(&to, "m1", "to a device")?;
        let request = scene.trunk.expect_body("to a device")?;
        request.reply(200, "OK")?;
        let request = request.message;
        ensure!(
            request.uri().starts_with("sip:bob@phones.test;gr="),
            "{}",
            request.uri()
        );
        for name in ["From", "To"] {
            let value = request.header(name);
            ensure!(
                !value.contains("gr=") && !value.contains("desk") && !value.contains("Desk"),
                "{value}"
            );
        }

        let phone = scene.xmpp.log_in(scene.server, "alice", "phone")?;
        let uri = format!("{};gr=desk", scene.uri("alice"));
        let answer = scene.ask(&Draft::message(&uri, "sip:bob@phones.test", "for the desk"))?;
        ensure!(answer.status() == Some(202), "{answer}");
        let message = scene.alice.expect_body("for the desk")?;
        ensure!(message.to() == scene.alice.jid(), "{}", message.to());
        phone.expect_none("copy", |stanza| stanza.body() == Some("for the desk"))?;

        // A device that is gone does not keep a message from its account.
        let uri = format!("{};gr=attic", scene.uri("alice"));
        let answer = scene.ask(&Draft::message(
            &uri,
            "sip:bob@phones.test",
            "for the attic",
        ))?;
        ensure!(answer.status() == Some(202), "{answer}");
        scene.alice.expect_body("for the attic").map(drop)
    })
}

/// A07: JIDs fold case, SIP users keep theirs, even after a restart.
#[test]
fn sip_users_keep_their_case() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = Scene::open(bench, Server::chosen()?)?;
        let draft = Draft::message(&scene.uri("alice"), "sip:BobSmith@phones.test", "hello");
        ensure!(scene.ask(&draft)?.status() == Some(202));
        let from = scene.alice.expect_body("hello")?.from().to_owned();
        ensure!(from == scene.contact(r"bobsmith\40phones.test"), "{from}");
        let request = scene.carry(r"bobsmith\40phones.test", "m1", "back")?;
        ensure!(
            request.uri() == "sip:BobSmith@phones.test",
            "{}",
            request.uri()
        );

        let mark = scene.tandem.component.mark()?;
        scene.tandem.b2bua.terminate()?;
        scene.tandem.b2bua.start_again()?;
        scene
            .tandem
            .component
            .wait_log_since(mark, "the SIP side is there")?;
        let request = scene.carry(r"bobsmith\40phones.test", "m2", "after a restart")?;
        ensure!(
            request.uri() == "sip:BobSmith@phones.test",
            "{}",
            request.uri()
        );
        Ok(())
    })
}

/// A08: a number is a user where the table says so, and nobody elsewhere; a trunk may show it.
#[test]
fn numbers_belong_to_users() -> Result<()> {
    with_tandem(|bench| {
        let server = Server::chosen()?;
        let mut plan = Plan::usual(server);
        let jid = server.jid("alice");
        plan.tandem.numbers = vec![("+15550100", &jid)];
        plan.tandem.trunks.push(Trunk {
            name: "shown",
            matches: "+49*",
            from: "number",
            ..trunk()
        });
        let scene = plan.open(bench)?;
        for uri in [
            "sip:+15550100@127.0.0.1;user=phone".to_owned(),
            "sip:+1-555-0100@anything.test;user=phone".to_owned(),
            "tel:+1-555-0100".to_owned(),
            format!("sip:+15550100@{}", server.gateway()),
        ] {
            let answer = scene.ask(&Draft::message(&uri, "sip:bob@phones.test", &uri))?;
            ensure!(answer.status() == Some(202), "{uri}: {answer}");
            scene.alice.expect_body(&uri)?;
        }
        for uri in [
            "sip:+15550199@127.0.0.1;user=phone",
            "tel:+15550199",
            "sip:1234@127.0.0.1",
        ] {
            let answer = scene.ask(&Draft::message(uri, "sip:bob@phones.test", "no"))?;
            ensure!(answer.status() == Some(404), "{uri}: {answer}");
        }

        let request = scene.carry("+4930123", "m1", "with my number")?;
        ensure!(
            request.header("From").starts_with("<sip:+15550100@"),
            "{request}"
        );
        let bob = scene.xmpp.log_in(server, "bob", "desk")?;
        bob.send_chat(&scene.contact("+4930123"), "m2", "without a number")?;
        let error = bob.expect_error("m2")?;
        ensure!(error.error_text().contains("number"), "{}", error.xml);
        Ok(())
    })
}

/// A10: who hides has the JID of nobody in particular.
#[test]
fn hidden_senders_share_one_jid() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        for from in [
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=a",
            "<sip:phones.test>;tag=b",
            "<sip:restricted@anonymous.invalid>;tag=c",
        ] {
            let answer = scene.ask(&scene.draft(from).with("From", from))?;
            ensure!(answer.status() == Some(202), "{from}: {answer}");
            let message = scene.alice.expect_body(from)?;
            ensure!(
                message.from() == scene.contact("anonymous"),
                "{from} became {}",
                message.from()
            );
        }
        // Nothing asks for a place in the roster.
        scene.alice.expect_none("subscription", |stanza| {
            stanza.name == "presence" && !stanza.kind().is_empty()
        })
    })
}

/// A11: domains are Unicode in JIDs and A-labels in SIP.
#[test]
fn domains_are_converted() -> Result<()> {
    with_tandem(|bench| {
        let mut plan = Plan::usual(Server::chosen()?);
        plan.tandem.trunks.push(Trunk {
            name: "books",
            matches: "*@bücher.example",
            next_hop: TRUNK,
            ..trunk()
        });
        let scene = plan.open(bench)?;
        let request = scene.carry(r"user\40bücher.example", "m1", "there")?;
        ensure!(
            request.uri() == "sip:user@xn--bcher-kva.example",
            "{}",
            request.uri()
        );
        request.reparse()?;
        let draft = Draft::message(
            &scene.uri("alice"),
            "sip:user@XN--bcher-kva.example",
            "back",
        );
        ensure!(scene.ask(&draft)?.status() == Some(202));
        let message = scene.alice.expect_body("back")?;
        ensure!(
            message.from() == scene.contact(r"user\40bücher.example"),
            "{}",
            message.from()
        );
        Ok(())
    })
}

/// Contacts that stand for nobody, or name a port, are refused before anything is sent.
#[test]
fn addresses_of_nobody_are_malformed() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let localparts = [
            r"bob\40phones.test\3a5060",
            r"bob\40",
            r"\40phones.test",
            r"bob\40pho nes",
            r"bob\40sip.localhost",
        ];
        for (at, localpart) in localparts.into_iter().enumerate() {
            if localpart.contains(' ') {
                continue;
            }
            let id = format!("m{at}");
            let localpart = localpart.replace("sip.localhost", scene.server.gateway());
            scene
                .alice
                .send_chat(&scene.contact(&localpart), &id, "no")?;
            let error = scene.alice.expect_error(&id)?;
            ensure!(
                error.condition() == "jid-malformed",
                "{localpart}: {}",
                error.xml
            );
        }
        scene
            .trunk
            .expect_none("request", |message| message.method() == Some("MESSAGE"))
    })
}
