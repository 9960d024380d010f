//! Pager-mode messages in both directions (checklist rows M01, M03, M04, M07, M15, M17, M20-M22).

use anyhow::{Result, ensure};
use integration_tests::tandem::with_tandem;
use integration_tests::xmpp::escape;
use integration_tests::{Bench, Scene, Server, on_both_servers};

on_both_servers!(
    /// M01: plain text in both directions, byte for byte.
    text_goes_both_ways,
    /// M07 and design.md 0.11: the answer to SIP says what the server said; a bounce comes before it.
    the_answer_is_that_of_the_server,
    /// M22: what came from SIP is in the user's archive.
    messages_are_archived,
);

fn text_goes_both_ways(bench: &Bench, server: Server) -> Result<()> {
    let mut scene = Scene::open(bench, server)?;
    for (at, text) in TEXTS.into_iter().enumerate() {
        let request = scene.carry(r"bob\40phones.test", &format!("m{at}"), text)?;
        request.reparse()?;
        ensure!(
            request.body() == text.as_bytes(),
            "{text:?} became {:?}",
            request.text()
        );
        let kind = request.header("Content-Type").replace(' ', "");
        ensure!(
            kind.eq_ignore_ascii_case("text/plain;charset=utf-8"),
            "{kind}"
        );
        ensure!(
            request
                .header("From")
                .starts_with(&format!("<{}>;tag=", scene.uri("alice"))),
            "{request}"
        );
        // RFC 3428 §5: outside a dialog there is no Contact.
        ensure!(request.header("Contact").is_empty(), "{request}");
        for name in ["Via", "Max-Forwards", "Call-ID", "CSeq", "Content-Length"] {
            ensure!(request.headers(name).len() == 1, "{name}: {request}");
        }
    }
    for text in TEXTS {
        let answer = scene.ask(&scene.draft(text))?;
        ensure!(answer.status() == Some(202), "{text:?}: {answer}");
        answer.reparse()?;
        let message = scene.alice.expect_body(text)?;
        ensure!(
            message.from() == scene.contact(r"bob\40phones.test") && message.kind() == "chat",
            "{}",
            message.xml
        );
        let origin = message
            .child_in("origin-id", "urn:xmpp:sid:0")
            .map(|origin| origin.id().to_owned());
        ensure!(
            !message.id().is_empty() && origin.as_deref() == Some(message.id()),
            "{}",
            message.xml
        );
    }
    scene
        .alice
        .expect_none("error", |stanza| stanza.kind() == "error")?;
    scene.tandem.expect_clean_log(&TEXTS)?;
    scene.tandem.terminate()
}

fn the_answer_is_that_of_the_server(bench: &Bench, server: Server) -> Result<()> {
    let scene = Scene::open(bench, server)?;
    let to = |user: &str, text: &str| {
        integration_tests::sip::Draft::message(&scene.uri(user), "sip:bob@phones.test", text)
    };
    ensure!(scene.ask(&to("alice", "online"))?.status() == Some(202));
    scene.alice.expect_body("online")?;

    // Kept by the server until the user comes.
    ensure!(scene.ask(&to("bob", "offline"))?.status() == Some(202));
    let bob = scene.xmpp.log_in(server, "bob", "desk")?;
    bob.expect_body("offline")?;

    for round in 0..10 {
        let answer = scene.ask(&to("nobody", &format!("lost {round}")))?;
        ensure!(answer.status() == Some(480), "an unknown user: {answer}");
    }
    Ok(())
}

fn messages_are_archived(bench: &Bench, server: Server) -> Result<()> {
    let scene = Scene::open(bench, server)?;
    ensure!(scene.ask(&scene.draft("to be kept"))?.status() == Some(202));
    let message = scene.alice.expect_body("to be kept")?;
    let hinted = message.child_in("store", "urn:xmpp:hints").is_some();
    ensure!(hinted, "{}", message.xml);
    scene.alice.ask(
        "set",
        scene.alice.bare(),
        "<query xmlns='urn:xmpp:mam:2' queryid='q'/>",
    )?;
    scene
        .alice
        .expect("the archived message", |stanza| {
            stanza.mentions("urn:xmpp:mam:2") && stanza.xml.contains("to be kept")
        })
        .map(drop)
}

/// M03: subject and language.
#[test]
fn subject_and_language_go_along() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let to = scene.contact(r"bob\40phones.test");
        scene.alice.send(&format!(
            "<message to='{to}' id='m1' type='normal' xml:lang='de'><subject>Mittag\n heute</subject>\
             <body xml:lang='en'>lunch</body><body>Essen</body></message>"
        ))?;
        let request = scene.trunk.expect_body("Essen")?;
        request.reply(200, "OK")?;
        let request = request.message;
        ensure!(request.header("Subject") == "Mittag heute", "{request}");
        ensure!(request.header("Content-Language") == "de", "{request}");

        let draft = scene
            .draft("salut")
            .with("Subject", "déjeuner")
            .with("Content-Language", "fr-CA");
        ensure!(scene.ask(&draft)?.status() == Some(202));
        let message = scene.alice.expect_body("salut")?;
        ensure!(
            message
                .child("subject")
                .is_some_and(|subject| subject.text == "déjeuner"),
            "{}",
            message.xml
        );
        ensure!(
            message.attribute("{http://www.w3.org/XML/1998/namespace}lang") == "fr-CA",
            "{}",
            message.xml
        );
        Ok(())
    })
}

/// M04: a thread is a Call-ID with growing CSeq, and only our own Call-IDs are threads again.
#[test]
fn threads_are_call_ids() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let to = scene.contact(r"bob\40phones.test");
        let say = |id: &str, thread: &str| {
            let thread = match thread {
                "" => String::new(),
                thread => format!("<thread>{}</thread>", escape(thread)),
            };
            scene.alice.send(&format!(
                "<message to='{to}' id='{id}' type='chat'><body>{id}</body>{thread}</message>"
            ))?;
            let request = scene.trunk.expect_body(id)?;
            request.reply(200, "OK")?;
            anyhow::Ok(request.message)
        };
        let (first, second) = (say("m1", "a-thread.1")?, say("m2", "a-thread.1")?);
        ensure!(
            first.header("Call-ID") == "a-thread.1" && second.header("Call-ID") == "a-thread.1",
            "{second}"
        );
        let number = |message: &integration_tests::sip::Message| {
            message
                .header("CSeq")
                .split(' ')
                .next()
                .unwrap_or_default()
                .parse::<u32>()
        };
        ensure!(number(&second)? > number(&first)?, "{first}\n{second}");
        let tag = |message: &integration_tests::sip::Message| {
            message
                .header("From")
                .split(";tag=")
                .nth(1)
                .map(str::to_owned)
        };
        ensure!(tag(&first) == tag(&second), "{first}\n{second}");

        // What a Call-ID cannot hold, and what would tell who talks.
        let odd = say("m3", "no call id & more")?.header("Call-ID");
        ensure!(
            !odd.is_empty() && !odd.contains("call id") && !odd.contains(['&', ' ']),
            "{odd}"
        );
        let (none, again) = (say("m4", "")?, say("m5", "")?);
        for request in [&none, &again] {
            let call_id = request.header("Call-ID");
            ensure!(
                !call_id.contains("alice") && !call_id.contains("127.0.0.1") && call_id != odd,
                "{call_id}"
            );
        }

        for (call_id, thread) in [
            ("a-thread.1", Some("a-thread.1")),
            (odd.as_str(), Some("no call id & more")),
            ("theirs@phones.test", None),
        ] {
            ensure!(
                scene
                    .ask(&scene.draft(call_id).with("Call-ID", call_id))?
                    .status()
                    == Some(202)
            );
            let message = scene.alice.expect_body(call_id)?;
            ensure!(
                message.child("thread").map(|thread| thread.text.as_str()) == thread,
                "{}",
                message.xml
            );
        }
        Ok(())
    })
}

/// M15, M17: what only XMPP has becomes words; what is encrypted is refused; states are nothing.
#[test]
fn what_only_xmpp_has_is_told_in_words() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let to = scene.contact(r"bob\40phones.test");
        for (id, inside, told) in [
            (
                "m1",
                "<body>now</body><replace xmlns='urn:xmpp:message-correct:0' id='m0'/>",
                "* now",
            ),
            (
                "m2",
                "<body>&gt; before\nafter</body><reply xmlns='urn:xmpp:reply:0' id='m0'/><fallback \
                 xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='9'/></fallback>",
                "> before\nafter",
            ),
            (
                "m3",
                "<reactions xmlns='urn:xmpp:reactions:0' id='m0'><reaction>👍</reaction></reactions>",
                "(Reacted with 👍)",
            ),
            (
                "m4",
                "<retract xmlns='urn:xmpp:message-retract:1' id='m0'/><fallback xmlns='urn:xmpp:fallback:0' \
                 for='urn:xmpp:message-retract:1'/><body>This person retracted a message</body>",
                "(An earlier message was withdrawn.)",
            ),
            (
                "m5",
                "<x xmlns='jabber:x:oob'><url>https://x.test/a.jpg</url></x>",
                "https://x.test/a.jpg",
            ),
        ] {
            scene.alice.send(&format!(
                "<message to='{to}' id='{id}' type='chat'>{inside}</message>"
            ))?;
            scene.trunk.expect_body(told)?.reply(200, "OK")?;
        }

        let omemo = "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted><body>OMEMO</body>";
        scene.alice.send(&format!(
            "<message to='{to}' id='m6' type='chat'>{omemo}</message>"
        ))?;
        let error = scene.alice.expect_error("m6")?;
        ensure!(
            error.condition() == "not-acceptable" && error.error_text().contains("ncrypt"),
            "{}",
            error.xml
        );

        for nothing in [
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            "<received xmlns='urn:xmpp:receipts' id='m0'/>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='m0'/>",
            "<subject>only</subject>",
            "<body/>",
        ] {
            scene.alice.send(&format!(
                "<message to='{to}' type='chat'>{nothing}</message>"
            ))?;
        }
        scene.carry(r"bob\40phones.test", "m7", "the end")?;
        scene
            .trunk
            .expect_none("request", |message| message.method() == Some("MESSAGE"))?;
        scene.alice.send(&format!(
            "<message to='{to}' id='m8' type='groupchat'><body>room</body></message>"
        ))?;
        let error = scene.alice.expect_error("m8")?;
        ensure!(error.condition() == "service-unavailable", "{}", error.xml);
        Ok(())
    })
}

/// M20: what comes twice is delivered once, also after a restart, and answered as before.
#[test]
fn repetitions_are_delivered_once() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = Scene::open(bench, Server::chosen()?)?;
        let draft = scene.draft("once");
        ensure!(scene.ask(&draft)?.status() == Some(202));
        scene.alice.expect_body("once")?;
        // A new transaction with all else the same: its sender never got our answer.
        ensure!(
            scene
                .ask(&draft.clone().with_branch("z9hG4bK-again-1"))?
                .status()
                == Some(202)
        );
        let mark = scene.tandem.component.mark()?;
        scene.tandem.crash_b2bua()?;
        scene
            .tandem
            .component
            .wait_log_since(mark, "the SIP side is there")?;
        ensure!(
            scene
                .ask(&draft.clone().with_branch("z9hG4bK-again-2"))?
                .status()
                == Some(202)
        );
        // Another CSeq is another message with the same words.
        ensure!(
            scene
                .ask(&draft.with_branch("z9hG4bK-new").with("CSeq", "2 MESSAGE"))?
                .status()
                == Some(202)
        );
        scene.alice.expect_body("once")?;
        scene
            .alice
            .expect_none("repetition", |stanza| stanza.body() == Some("once"))?;

        for _ in 0..2 {
            scene
                .alice
                .send_chat(&scene.contact(r"bob\40phones.test"), "same", "twice")?;
        }
        scene.trunk.expect_body("twice")?.reply(200, "OK")?;
        scene.carry(r"bob\40phones.test", "other", "the end")?;
        scene
            .trunk
            .expect_none("repetition", |message| message.text() == "twice")
    })
}

/// M21: when it was said, if that was not just now.
#[test]
fn delays_are_dates() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let draft = scene
            .draft("late")
            .with("Date", "Sat, 13 Nov 2010 23:29:00 GMT");
        ensure!(scene.ask(&draft)?.status() == Some(202));
        let message = scene.alice.expect_body("late")?;
        let mut delays = message
            .children
            .iter()
            .filter(|child| child.namespace == "urn:xmpp:delay");
        let ours = delays
            .find(|delay| delay.from() == scene.server.gateway())
            .cloned()
            .unwrap_or_default();
        ensure!(
            ours.attribute("stamp").starts_with("2010-11-13T23:29:00"),
            "{}",
            message.xml
        );

        // Its time is over, says the sender (RFC 3428 §4): taken and dropped.
        let draft = scene
            .draft("over")
            .with("Date", "Sat, 13 Nov 2010 23:29:00 GMT")
            .with("Expires", "60");
        ensure!(scene.ask(&draft)?.status() == Some(202));
        scene
            .alice
            .expect_none("message", |stanza| stanza.body() == Some("over"))?;

        let to = scene.contact(r"bob\40phones.test");
        scene.alice.send(&format!(
            "<message to='{to}' id='m1' type='chat'><body>earlier</body>\
             <delay xmlns='urn:xmpp:delay' stamp='2010-11-13T23:29:00Z'/></message>"
        ))?;
        let request = scene.trunk.expect_body("earlier")?;
        request.reply(200, "OK")?;
        ensure!(
            request.message.header("Date") == "Sat, 13 Nov 2010 23:29:00 GMT",
            "{}",
            request.message
        );
        scene.carry(r"bob\40phones.test", "m2", "now").map(drop)
    })
}

const TEXTS: [&str; 4] = [
    "a plain word of greeting",
    "two lines\nwith  spaces &amp; <tags> ]]> \"quotes\"",
    "größer: 😀 👨‍👩‍👧 \u{202e}right to left",
    "Via: SIP/2.0/UDP looks.like.a.header\n\nand a body",
];
