//! Nobody speaks as somebody else, and nothing that is written becomes more than text
//! (checklist rows Z03, Z04; specs T5, T6, T9).

use anyhow::{Result, ensure};
use integration_tests::kamailio::{self, Kamailio};
use integration_tests::scene::{Plan, trunk};
use integration_tests::sip::Draft;
use integration_tests::tandem::{Trunk, with_tandem};
use integration_tests::xmpp::escape;
use integration_tests::{Scene, Server};

/// T5, T6: whatever SIP says, the sender is a contact in the gateway's own domain, and not a known one by trickery.
#[test]
fn nobody_speaks_as_a_user() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let (domain, gateway) = (scene.server.domain(), scene.server.gateway());
        for from in [
            format!("sip:ceo@{domain}"),
            format!("sip:ceo%40{domain}@{gateway}"),
            format!("sip:ceo@{gateway}"),
            format!("sip:ceo@{}.", domain.to_uppercase()),
            format!("sips:ceo@{domain}"),
            format!("sip:bob%40phones.test@{gateway}"),
        ] {
            let answer = scene.ask(&Draft::message(
                &scene.uri("alice"),
                &from,
                "as somebody else",
            ))?;
            ensure!(answer.status() == Some(403), "{from}: {answer}");
        }
        let victim = scene.contact(r"bob\40phones.test");
        for (at, from) in [
            format!("sip:ceo%40{domain}@phones.test"),
            "sip:bob%40phones.test@other.test".to_owned(),
            "sip:bob%5C40phones.test@other.test".to_owned(),
            "sip:bob%2F@phones.test".to_owned(),
            format!("sip:ceo%40{domain}%2Fdesk@other.test"),
            "sip:bob@phones.test.other.test".to_owned(),
            "sip:bob%E2%80%AE@phones.test".to_owned(),
            "sip:b%C3%B6b@phones.test".to_owned(),
            "tel:bob@phones.test".to_owned(),
            "http://phones.test/bob".to_owned(),
        ]
        .into_iter()
        .enumerate()
        {
            let text = format!("spoof {at}");
            let draft = scene.draft(&text).with("From", &format!("<{from}>;tag=1"));
            let draft = draft.with(
                "P-Asserted-Identity",
                &format!("<sip:bob@phones.test>, <sip:ceo@{domain}>"),
            );
            let answer = scene.ask(&draft)?;
            if answer.status() == Some(202) {
                let message = scene.alice.expect_body(&text)?;
                let (bare, resource) = message
                    .from()
                    .split_once('/')
                    .unwrap_or((message.from(), ""));
                ensure!(
                    bare.ends_with(&format!("@{gateway}")) && resource.is_empty(),
                    "{from} became {}",
                    message.from()
                );
                ensure!(bare != victim, "{from} became {bare}");
            } else {
                ensure!(
                    answer
                        .status()
                        .is_some_and(|status| (400..500).contains(&status)),
                    "{from}: {answer}"
                );
            }
        }
        scene.alice.expect_none("message", |stanza| {
            stanza.body() == Some("as somebody else")
        })
    })
}

/// T6: an asserted identity counts only where a trunk trusts its peer, and never for a user of ours.
#[test]
fn asserted_identities_need_trust() -> Result<()> {
    with_tandem(|bench| {
        let trunk = Trunk {
            extra: "trust_identity = true",
            ..trunk()
        };
        let scene = Scene::by_trunk(bench, trunk)?;
        let draft = scene
            .draft("asserted")
            .with("P-Asserted-Identity", "\"R\" <sip:romeo@phones.test>");
        ensure!(scene.ask(&draft)?.status() == Some(202));
        ensure!(
            scene.alice.expect_body("asserted")?.from() == scene.contact(r"romeo\40phones.test")
        );
        let draft = scene.draft("false").with(
            "P-Asserted-Identity",
            &format!("<sip:ceo@{}>", scene.server.domain()),
        );
        ensure!(scene.ask(&draft)?.status() == Some(403));
        Ok(())
    })
}

/// Z04, to SIP: nothing a user writes becomes a header; a third parser reads what was meant.
#[test]
fn stanzas_cannot_inject_headers() -> Result<()> {
    with_tandem(|bench| {
        let mut plan = Plan::usual(Server::chosen()?);
        plan.tandem.trunks.push(Trunk {
            name: "kamailio",
            matches: "*@sip.test",
            next_hop: kamailio::ADDRESS,
            ..trunk()
        });
        let mut registrar = Kamailio::start(bench, kamailio::Setup::default())?;
        let scene = plan.open(bench)?;
        let evil = "a\r\nRoute: <sip:evil.test>\r\n\r\ninjected";
        let hex = evil
            .replace('\r', "&#13;")
            .replace('\n', "&#10;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        // ejabberd itself refuses a language and a delay that are none.
        let (lang, delay) = match scene.server {
            Server::Prosody => (
                hex.as_str(),
                format!("<delay xmlns='urn:xmpp:delay' stamp='{hex}'/>"),
            ),
            Server::Ejabberd => ("de", String::new()),
        };
        for (at, (localpart, domain)) in [
            ("bob", "phones.test"),
            (r"b\22\3e\0d\0a", "phones.test"),
            (
                "a%0d%0aRoute:x".replace(':', r"\3a").as_str(),
                "phones.test",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let to = scene.contact(&format!(r"{localpart}\40{domain}"));
            scene.alice.send(&format!(
                "<message to='{}' id='{hex}{at}' type='chat' xml:lang='{lang}'><subject>{hex}</subject><thread>{hex}</thread>\
                 <body>{hex} {at}</body>{delay}</message>",
                escape(&to)
            ))?;
            scene
                .alice
                .expect_none("error", |stanza| stanza.kind() == "error")?;
            let request = scene.trunk.expect_request("MESSAGE")?;
            request.reply(200, "OK")?;
            let request = request.message;
            request.reparse()?;
            ensure!(
                request.headers("Route").is_empty() && request.headers("Call-ID").len() == 1,
                "{request}"
            );
            ensure!(
                request.text().replace("\r\n", "\n")
                    == format!("{} {at}", evil.replace("\r\n", "\n")),
                "{request}"
            );
            ensure!(
                request.header("Content-Length") == request.body().len().to_string(),
                "{request}"
            );
        }
        scene.alice.send(&format!(
            "<message to='{}' id='k' type='chat'><subject>{hex}</subject><thread>{hex}</thread><body>{hex}</body></message>",
            scene.contact(r"carol\40sip.test")
        ))?;
        let passed = registrar
            .process
            .wait_log_where(0, "what Kamailio read", |line| {
                line.contains("tandem-request").then(|| line.to_owned())
            })?;
        ensure!(
            passed.contains("uri=sip:carol@sip.test ") && !passed.contains("evil"),
            "{passed}"
        );
        ensure!(scene.alice.expect_error("k")?.condition() == "recipient-unavailable");
        ensure!(registrar.passed()?.len() == 1);
        Ok(())
    })
}

/// Z04, to XMPP: nothing a SIP peer writes becomes an element or an attribute.
#[test]
fn requests_cannot_inject_stanzas() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let evil = "x'/></body></message><message from='ceo@localhost' to='alice@localhost'><body>injected</body></message><!--";
        let draft = scene
            .draft(evil)
            .with("Subject", evil)
            .with("Content-Language", "de'><x")
            .with(
                "From",
                &format!(
                    "\"{}\" <sip:bob@phones.test>;tag='/><x>",
                    evil.replace('"', "")
                ),
            )
            .with("Call-ID", "x'/><message>@evil")
            .with("Date", evil);
        let answer = scene.ask(&draft)?;
        ensure!(matches!(answer.status(), Some(202 | 400)), "{answer}");
        let draft = scene
            .draft(evil)
            .with("Subject", evil)
            .with("Content-Language", "de'><x");
        ensure!(scene.ask(&draft)?.status() == Some(202));
        let message = scene.alice.expect_body(evil)?;
        ensure!(
            message
                .child("subject")
                .is_some_and(|subject| evil.starts_with(subject.text.trim())),
            "{}",
            message.xml
        );
        ensure!(
            message.from() == scene.contact(r"bob\40phones.test"),
            "{}",
            message.xml
        );

        for user in ["a%0d%0ab", "a%00b", "a%0ab", "%01", "a%7Fb", "a%ff"] {
            let uri = format!("sip:{user}@phones.test");
            let answer = scene.ask(
                &scene
                    .draft("injected")
                    .with("From", &format!("<{uri}>;tag=1")),
            )?;
            if answer.status() == Some(202) {
                let message = scene.alice.expect_body("injected")?;
                ensure!(
                    message.from() == scene.contact("anonymous"),
                    "{user} became {}",
                    message.from()
                );
            }
            let to = format!(
                "sip:{user}%40{}@{}",
                scene.server.domain(),
                scene.server.gateway()
            );
            let answer = scene.ask(&Draft::message(&to, "sip:bob@phones.test", "injected"))?;
            ensure!(
                answer
                    .status()
                    .is_some_and(|status| (400..500).contains(&status)),
                "{user}: {answer}"
            );
        }
        scene.alice.expect_none("injected message", |stanza| {
            stanza.body() == Some("injected")
        })
    })
}
