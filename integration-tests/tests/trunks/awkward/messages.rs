//! Messages to and from a provider that has its own ideas of headers, numbers and answers.

use anyhow::{Context, Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::names::Names;
use integration_tests::sip::{Agent, Draft, Message, Received};
use integration_tests::tandem::{Trunk, with_tandem_within};

use super::{challenge, trunk};
use crate::scene::{LIMIT, Scene};

/// What the provider says to a MESSAGE, the first of those of its row.
type Script = fn(&Scene, &Received) -> Result<()>;

/// A name, a script, and the condition of the error, with a word of its text; none where it arrived.
type Row = (&'static str, Script, Option<(&'static str, &'static str)>);

const ROWS: &[Row] = &[
    (
        "200 without tag",
        |_, first| answer(first, &head(first, "SIP/2.0 200 OK", "<sip:x@y>")),
        None,
    ),
    (
        "200 for somebody else, with two tags",
        |_, first| {
            answer(
                first,
                &head(
                    first,
                    "SIP/2.0 200 OK",
                    "\"Mallory\" <sip:mallory@evil.test>;tag=1;tag=2",
                ),
            )
        },
        None,
    ),
    (
        "200 twice, and then no",
        |_, first| {
            first.reply(200, "OK")?;
            first.reply(200, "OK")?;
            first.reply(500, "No")
        },
        None,
    ),
    (
        "ringing before 299",
        |_, first| {
            first.reply(100, "Trying")?;
            first.reply(180, "Ringing")?;
            first.reply(299, "Whatever")
        },
        None,
    ),
    (
        "200 with a body and a Contact",
        |_, first| {
            first.reply_as(
                "t",
                (200, "OK"),
                &[("Contact", "<sip:elsewhere@127.0.0.3>")],
                "v=0",
            )
        },
        None,
    ),
    (
        "302",
        |_, first| first.reply_with(302, "Moved", &[("Contact", "<sip:x@127.0.0.3:5090>")]),
        Some(("redirect", "")),
    ),
    (
        "420",
        |_, first| first.reply_with(420, "Bad", &[("Unsupported", "x")]),
        Some(("", "")),
    ),
    (
        "401 with ever new nonces",
        |scene, first| ask(scene, first, &[(401, ""), (401, "")]),
        Some(("internal-server-error", "authenticate")),
    ),
    (
        "401 and then 407 in turns",
        |scene, first| ask(scene, first, &[(401, ""), (407, ""), (401, "")]),
        Some(("internal-server-error", "authenticate")),
    ),
    (
        "401, then 407, then yes",
        |scene, first| {
            ask(scene, first, &[(401, ""), (407, "")])?;
            let third = scene.network.expect_body(&first.message.text())?;
            for name in ["Authorization", "Proxy-Authorization"] {
                ensure!(
                    third.message.header(name).starts_with("Digest "),
                    "{}",
                    third.message
                );
            }
            third.reply(200, "OK")
        },
        None,
    ),
    (
        "503 and 503 and 503",
        |scene, first| {
            first.reply_with(503, "Storm", &[("Retry-After", "1 (or so)")])?;
            // Not before it was asked to, and not for ever.
            let second = scene.network.expect_body(&first.message.text())?;
            second.reply_with(503, "Storm", &[("Retry-After", "99999999")])
        },
        Some(("", "")),
    ),
];

/// A response with this start line and To, in short names and without a length.
fn head(request: &Received, start: &str, to: &str) -> String {
    let field = |name: &str| request.message.header(name);
    let (via, from, call_id, cseq) = (field("Via"), field("From"), field("Call-ID"), field("CSeq"));
    format!("{start}\r\nv: {via}\r\nf: {from}\r\nt: {to}\r\ni: {call_id}\r\nCSeq: {cseq}\r\n\r\n")
}

fn answer(request: &Received, text: &str) -> Result<()> {
    request.path.send(text.as_bytes())
}

/// Asks for a password in these ways, each with a new nonce.
fn ask(scene: &Scene, first: &Received, rounds: &[(u16, &str)]) -> Result<()> {
    let mut request = first.clone();
    for (at, (status, more)) in rounds.iter().enumerate() {
        if at > 0 {
            request = scene.network.expect_body(&first.message.text())?;
        }
        let name = match status {
            401 => "WWW-Authenticate",
            _ => "Proxy-Authenticate",
        };
        request.reply_with(
            *status,
            "Who?",
            &[(
                name,
                &challenge(&format!("{}.{at}", first.message.text()), more),
            )],
        )?;
    }
    Ok(())
}

#[test]
fn a_message_arrives_or_comes_back_with_words() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = Scene::open(bench, vec![trunk()], "[message]\nretry_for = 4\n")?;
        let elsewhere = Agent::bind("127.0.0.3:5090")?;
        for (at, (name, script, error)) in ROWS.iter().enumerate() {
            let attempt = || -> Result<()> {
                let body = format!("row {at}");
                let mark = scene.tandem.borrow().b2bua.mark()?;
                scene.say("+15559001", &body)?;
                script(&scene, &scene.network.expect_body(&body)?)?;
                match error {
                    None => {
                        let mut tandem = scene.tandem.borrow_mut();
                        tandem.b2bua.wait_log_since(mark, "message delivered")?;
                    }
                    Some((condition, word)) => {
                        let told = scene.alice.expect("an error", |stanza| {
                            stanza.kind() == "error" && stanza.id() == body
                        })?;
                        ensure!(told.condition().contains(condition), "{}", told.xml);
                        let text = told.error_text();
                        ensure!(!text.is_empty() && text.contains(word), "{}", told.xml);
                    }
                }
                scene
                    .network
                    .expect_none("one more", |message| message.text() == body)
            };
            attempt().with_context(|| (*name).to_owned())?;
        }
        elsewhere.expect_none("a request", |_| true)?;
        scene
            .alice
            .expect_none("a late error", |stanza| stanza.kind() == "error")?;
        scene.write("+15559001", "all is well")?;
        scene.close(&["row "])
    })
}

/// What the provider calls alice's number: the Request-URI and To.
const CALLED: &[(&str, &str)] = &[
    ("sip:+15550001000@GATEWAY", "<sip:somebody@else.test>"),
    (
        "sip:0015550001000@GATEWAY",
        "sip:+15550001000@provider.test",
    ),
    (
        "sip:15550001000@GATEWAY;user=phone",
        "\"A, \\\"B\\\"\" <sip:x@y>",
    ),
    (
        "sip:+1-555-000-1000@GATEWAY;user=phone",
        "<tel:+15550001000>",
    ),
    (
        "sip:+1(555)000.1000@GATEWAY",
        "<sip:15550001000@provider.test>",
    ),
    (
        "sip:5550001000@GATEWAY;transport=udp;x=y",
        "<sip:y;user=phone>",
    ),
    ("tel:+1-555-000-1000", "<tel:+1-555-000-1000>"),
    ("tel:555-000-1000;phone-context=+1", "<sip:x@y>"),
    ("sip:+15550001000;npdi;rn=+15551110000@GATEWAY", "<sip:x@y>"),
    ("sip:%2B15550001000@GATEWAY", "<sip:x@y>"),
];

/// What it calls itself, always the same number, in From.
const CALLING: &[&str] = &[
    "<sip:+15559001000@provider.test>;tag=1",
    "<sip:0015559001000@provider.test>;tag=1",
    "sip:15559001000@provider.test;tag=1",
    "\"5559001000\" <sip:5559001000@provider.test;user=phone>;tag=1",
    "<tel:+1-555-900-1000>;tag=1",
    "<tel:555-900-1000;phone-context=+1>;tag=1",
    "<sip:+1(555)900-1000@provider.test>;tag=1",
    "<sip:+15559001000;cpc=ordinary@provider.test:5080;user=phone>;tag=1",
    "<sip:%2b15559001000@provider.test>;tag=1",
    // RFC 2543 knew no tags.
    "<sip:+15559001000@provider.test>",
];

#[test]
fn a_number_is_known_however_it_is_written() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let more = "[numbering]\ncountry = \"1\"\nbare_digits = 10\nnational = \"1\"\ninternational = [\"00\"]\n";
        let national = Trunk {
            extra: "inbound_format = \"national\"",
            ..trunk()
        };
        let scene = Scene::open(bench, vec![national], more)?;
        let path = scene.network.udp_to(GATEWAY)?;
        let gateway = scene.server.gateway();
        let wanted = scene.contact("+15559001000");
        let send = |uri: &str, to: &str, from: &str, body: &str| -> Result<Message> {
            let uri = uri.replace("GATEWAY", gateway);
            let draft = Draft::message(&uri, "sip:x@y", body)
                .with("To", to)
                .with("From", from);
            scene.network.ask(&draft, &path)
        };
        let all = CALLED.iter().map(|(uri, to)| (*uri, *to, CALLING[0]));
        let all = all.chain(CALLING.iter().map(|from| (CALLED[0].0, CALLED[0].1, *from)));
        for (at, (uri, to, from)) in all.enumerate() {
            let body = format!("number {at}");
            let answer = send(uri, to, from, &body)?;
            ensure!(answer.status() == Some(202), "{uri} from {from}: {answer}");
            let stanza = scene
                .alice
                .expect(&body, |stanza| stanza.body() == Some(&body))?;
            ensure!(
                stanza.from().starts_with(&wanted),
                "{uri} from {from}: {}",
                stanza.from()
            );
        }
        // Within a dialog there is none, and a tag says that there is.
        let answer = send(CALLED[0].0, "<sip:x@y>;tag=old", CALLING[0], "tagged")?;
        ensure!(answer.status() == Some(481), "{answer}");
        let draft = Draft::message(
            &format!("sip:+15550001000@{gateway}"),
            "sip:x@y",
            "wants more",
        );
        let answer = scene
            .network
            .ask(&draft.with("Require", "x-billing"), &path)?;
        ensure!(answer.status() == Some(420), "{answer}");
        ensure!(answer.header("Unsupported") == "x-billing", "{answer}");
        // No length on a datagram means to its end (RFC 3261 §18.3); short names.
        let short = format!(
            "MESSAGE sip:+15550001000@{gateway} SIP/2.0\r\nv: SIP/2.0/UDP {};branch=z9hG4bKshort;rport\r\n\
            f: {}\r\nt: <sip:x@y>\r\ni: short\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nc: text/plain\r\n\r\nshort",
            path.source(),
            CALLING[0]
        );
        path.send(short.as_bytes())?;
        scene.network.expect_status(202)?;
        scene
            .alice
            .expect("the short one", |stanza| stanza.body() == Some("short"))?;
        scene.close(&["number "])
    })
}
