//! What Tandem says it is, and that every question gets an answer (checklist rows U02 without caps, U10, E04).

use anyhow::{Result, ensure};
use integration_tests::tandem::with_tandem;
use integration_tests::xmpp::Stanza;
use integration_tests::{Bench, Scene, Server, on_both_servers};

on_both_servers!(
    /// U02: identities and features of the domain and of contacts; only what is built.
    the_gateway_and_its_contacts_say_what_they_are,
    /// E04: every `get` and `set` is answered, and what is not known is refused.
    every_question_is_answered,
    /// E04: an error is never answered with an error.
    errors_are_not_answered,
);

fn the_gateway_and_its_contacts_say_what_they_are(bench: &Bench, server: Server) -> Result<()> {
    let scene = Scene::open(bench, server)?;
    let info = scene.alice.ask("get", server.gateway(), INFO)?;
    ensure!(
        info.kind() == "result" && info.from() == server.gateway(),
        "{}",
        info.xml
    );
    ensure!(
        identities(&info) == ["gateway/pstn", "gateway/sip", "gateway/sms"],
        "{}",
        info.xml
    );
    for feature in [
        INFO_NS,
        ITEMS_NS,
        r"jid\20escaping",
        "urn:xmpp:ping",
        "jabber:iq:version",
        "urn:xmpp:time",
    ] {
        ensure!(
            has_feature(&info, feature),
            "{feature} is missing: {}",
            info.xml
        );
    }
    for entity in [
        scene.contact(r"bob\40phones.test"),
        format!("{}/sip", scene.contact("+15550123")),
    ] {
        let info = scene.alice.ask("get", &entity, INFO)?;
        ensure!(
            info.kind() == "result" && info.from() == entity,
            "{}",
            info.xml
        );
        ensure!(
            identities(&info).contains(&"client/phone".to_owned()),
            "{}",
            info.xml
        );
        ensure!(!info.xml.contains("gateway"), "{}", info.xml);
        // Without all of these no client offers to call (specs 9.5).
        for feature in [
            "http://jabber.org/protocol/caps",
            "urn:xmpp:jingle:1",
            "urn:xmpp:jingle:apps:rtp:1",
            "urn:xmpp:jingle:apps:rtp:audio",
            "urn:xmpp:jingle:apps:dtls:0",
            "urn:xmpp:jingle:transports:ice-udp:1",
            "urn:xmpp:jingle-message:0",
        ] {
            ensure!(has_feature(&info, feature), "{feature}: {}", info.xml);
        }
        // What comes later must not be promised now.
        for feature in [
            "urn:xmpp:receipts",
            "http://jabber.org/protocol/chatstates",
            "urn:xmpp:jingle:apps:rtp:video",
            "urn:ietf:rfc:3264",
            "omemo",
        ] {
            ensure!(!info.xml.contains(feature), "{feature}: {}", info.xml);
        }
    }
    for entity in [server.gateway().to_owned(), scene.contact("+15550123")] {
        let items = scene.alice.ask("get", &entity, ITEMS)?;
        ensure!(
            items.kind() == "result" && items.child_in("query", ITEMS_NS).is_some(),
            "{}",
            items.xml
        );
        for query in [INFO, ITEMS] {
            let unknown = query.replace("/>", " node='nowhere'/>");
            let answer = scene.alice.ask("get", &entity, &unknown)?;
            ensure!(answer.condition() == "item-not-found", "{}", answer.xml);
        }
    }
    Ok(())
}

/// U10: ping, version, time and last activity.
#[test]
fn small_questions_are_answered() -> Result<()> {
    with_tandem(|bench| {
        let server = Server::chosen()?;
        let scene = Scene::open(bench, server)?;
        let contact = scene.contact(r"bob\40phones.test");
        for entity in [
            server.gateway(),
            contact.as_str(),
            &format!("{contact}/sip"),
        ] {
            let answer = scene
                .alice
                .ask("get", entity, "<ping xmlns='urn:xmpp:ping'/>")?;
            ensure!(
                answer.kind() == "result" && answer.children.is_empty(),
                "{}",
                answer.xml
            );
            let answer = scene
                .alice
                .ask("get", entity, "<query xmlns='jabber:iq:version'/>")?;
            let query = answer.child("query").cloned().unwrap_or_default();
            ensure!(
                query
                    .child("name")
                    .is_some_and(|name| name.text == "Tandem"),
                "{}",
                answer.xml
            );
            ensure!(
                query
                    .child("version")
                    .is_some_and(|version| !version.text.is_empty()),
                "{}",
                answer.xml
            );
            let answer = scene
                .alice
                .ask("get", entity, "<query xmlns='jabber:iq:last'/>")?;
            let query = answer.child("query").cloned().unwrap_or_default();
            ensure!(
                query.attribute("seconds").parse::<u64>().is_ok(),
                "{}",
                answer.xml
            );
        }
        let answer = scene
            .alice
            .ask("get", server.gateway(), "<time xmlns='urn:xmpp:time'/>")?;
        let time = answer.child("time").cloned().unwrap_or_default();
        ensure!(
            time.child("tzo").is_some()
                && time.child("utc").is_some_and(|utc| utc.text.ends_with('Z')),
            "{}",
            answer.xml
        );
        Ok(())
    })
}

fn every_question_is_answered(bench: &Bench, server: Server) -> Result<()> {
    let scene = Scene::open(bench, server)?;
    let contact = scene.contact(r"bob\40phones.test");
    let device = format!("{contact}/sip");
    for entity in [server.gateway(), &contact, &device] {
        for (kind, payload) in [
            ("get", "<query xmlns='jabber:iq:register'/>"),
            (
                "set",
                "<query xmlns='jabber:iq:register'><username>x</username></query>",
            ),
            ("get", "<vCard xmlns='vcard-temp'/>"),
            ("get", "<query xmlns='jabber:iq:gateway'/>"),
            ("set", "<ping xmlns='urn:xmpp:ping'/>"),
            (
                "get",
                "<nonsense xmlns='urn:example:nonsense'><a><b/></a></nonsense>",
            ),
        ] {
            let answer = scene.alice.ask(kind, entity, payload)?;
            let refused = answer.kind() == "error" && answer.condition() == "service-unavailable";
            ensure!(
                refused && answer.from() == entity,
                "{kind} {payload}: {}",
                answer.xml
            );
        }
    }
    Ok(())
}

/// C32: a session without contents is refused by contacts, which take calls, and by the domain, which does not.
#[test]
fn a_session_without_contents_is_refused() -> Result<()> {
    with_tandem(|bench| {
        let server = Server::chosen()?;
        let scene = Scene::open(bench, server)?;
        let contact = scene.contact(r"bob\40phones.test");
        let device = format!("{contact}/sip");
        let empty = "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='a'/>";
        for (entity, condition) in [
            (server.gateway(), "service-unavailable"),
            (&contact, "bad-request"),
            (&device, "bad-request"),
        ] {
            let answer = scene.alice.ask("set", entity, empty)?;
            ensure!(answer.condition() == condition, "{}", answer.xml);
        }
        Ok(())
    })
}

fn errors_are_not_answered(bench: &Bench, server: Server) -> Result<()> {
    let scene = Scene::open(bench, server)?;
    let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    for to in [
        server.gateway().to_owned(),
        scene.contact("+15550123"),
        scene.contact(r"bob\40phones.test"),
    ] {
        scene.alice.send(&format!(
            "<message to='{to}' type='error' id='e1'><body>x</body>{error}</message>"
        ))?;
        scene.alice.send(&format!(
            "<presence to='{to}' type='error' id='e2'>{error}</presence>"
        ))?;
        scene
            .alice
            .send(&format!("<iq to='{to}' type='error' id='e3'>{error}</iq>"))?;
        scene
            .alice
            .send(&format!("<iq to='{to}' type='result' id='e4'/>"))?;
    }
    // Its answer comes behind all that.
    scene.alice.ask("get", server.gateway(), INFO)?;
    scene
        .alice
        .expect_none("answer to an error", |stanza| stanza.kind() == "error")?;
    scene
        .trunk
        .expect_none("request", |message| message.method().is_some())
}

fn identities(info: &Stanza) -> Vec<String> {
    let children = info
        .child("query")
        .map(|query| query.children.as_slice())
        .unwrap_or_default();
    let mut found: Vec<String> = children
        .iter()
        .filter(|child| child.name == "identity")
        .map(|identity| format!("{}/{}", identity.attribute("category"), identity.kind()))
        .collect();
    found.sort();
    found
}

fn has_feature(info: &Stanza, feature: &str) -> bool {
    let children = info
        .child("query")
        .map(|query| query.children.as_slice())
        .unwrap_or_default();
    children
        .iter()
        .any(|child| child.name == "feature" && child.attribute("var") == feature)
}

const INFO_NS: &str = "http://jabber.org/protocol/disco#info";
const ITEMS_NS: &str = "http://jabber.org/protocol/disco#items";
const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
