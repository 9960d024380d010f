//! Closed by default (checklist rows N13, Z02; specs T3, T4, T26).

use std::fs;

use anyhow::{Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::scene::{Plan, TRUNK, trunk};
use integration_tests::sip::{Agent, Draft};
use integration_tests::tandem::{self, Tandem, Trunk, with_tandem};
use integration_tests::{Bench, Scene, Server, on_both_servers};

on_both_servers!(
    /// Only users of the allowed domains may use the gateway.
    strangers_are_turned_away,
);

fn strangers_are_turned_away(bench: &Bench, server: Server) -> Result<()> {
    let domain = format!("strangers.{}", server.domain());
    let components = [domain.as_str()];
    let mut plan = Plan::usual(server);
    plan.server.more_components = &components;
    let scene = plan.open(bench)?;
    let stranger = scene.xmpp.attach(&domain)?;
    let (from, to) = (
        format!("mallory@{domain}"),
        scene.contact(r"bob\40phones.test"),
    );
    stranger.send(&format!(
        "<message from='{from}' to='{to}' id='s1' type='chat'><body>let me in</body></message>"
    ))?;
    let error = stranger.expect_error("s1")?;
    ensure!(
        error.condition() == "forbidden" && error.error_text().contains("domain"),
        "{}",
        error.xml
    );
    stranger.send(&format!(
        "<presence from='{from}' to='{to}' type='subscribe'/>"
    ))?;
    // A user's own message is behind both.
    scene.carry(r"bob\40phones.test", "m1", "may I")?;
    stranger.send(&format!(
        "<message from='{from}' to='{to}' id='s2' type='chat'><body>again</body></message>"
    ))?;
    stranger.expect_error("s2")?;
    let approval = stranger
        .drain()
        .into_iter()
        .find(|stanza| stanza.name == "presence");
    ensure!(approval.is_none(), "{approval:?}");
    scene
        .trunk
        .expect_none("request", |message| message.text() == "let me in")
}

/// Sources no trunk names are not heard: no answer, no connection, but a count.
#[test]
fn unknown_sources_hear_nothing() -> Result<()> {
    with_tandem(|bench| {
        let trunk = Trunk {
            inbound: vec!["127.0.0.1"],
            ..trunk()
        };
        let mut scene = Scene::by_trunk(bench, trunk)?;
        let stranger = Agent::bind("127.0.0.2:5090")?;
        let path = stranger.udp_to(GATEWAY)?;
        for draft in [
            scene.draft("let me in"),
            Draft::new("OPTIONS", "sip:127.0.0.1"),
            Draft::new("FOO", "sip:127.0.0.1"),
        ] {
            path.send(&draft.to_bytes(&path))?;
        }
        path.send(b"no SIP at all\r\n\r\n")?;
        ensure!(scene.ask(&Draft::new("OPTIONS", "sip:127.0.0.1"))?.status() == Some(200));
        stranger.expect_none("answer", |_| true)?;
        scene
            .alice
            .expect_none("message", |stanza| stanza.body() == Some("let me in"))?;
        scene.tandem.b2bua.terminate()?;
        let log = scene.tandem.b2bua.read_log()?;
        ensure!(log.contains("unknown_source: 4"), "{log}");
        Ok(())
    })
}

/// Contacts that no trunk takes do not exist.
#[test]
fn without_a_route_there_is_nobody() -> Result<()> {
    with_tandem(|bench| {
        let trunk = Trunk {
            matches: "+1555* *@phones.test",
            ..trunk()
        };
        let scene = Scene::by_trunk(bench, trunk)?;
        for (at, localpart) in [
            "+4930123",
            "1234",
            "bob",
            r"bob\40elsewhere.test",
            r"bob\40sub.phones.test",
            r"x\40127.0.0.1",
        ]
        .into_iter()
        .enumerate()
        {
            let id = format!("m{at}");
            scene
                .alice
                .send_chat(&scene.contact(localpart), &id, "no")?;
            let error = scene.alice.expect_error(&id)?;
            ensure!(
                error.condition() == "item-not-found" && error.error_text().contains("route"),
                "{localpart}: {}",
                error.xml
            );
        }
        // Users of ours are no contacts: nothing goes in circles.
        let own = format!(r"bob\40{}", scene.server.domain());
        scene.alice.send_chat(&scene.contact(&own), "own", "no")?;
        scene.alice.expect_error("own")?;
        scene.carry("+15550123", "yes", "yes").map(drop)
    })
}

/// Without configuration nothing listens beyond this host.
#[test]
fn listeners_are_on_loopback_by_default() -> Result<()> {
    with_tandem(|bench| {
        let mut setup = tandem::Setup::with_trunk(Server::chosen()?, trunk());
        setup.listeners.clear();
        let mut tandem = Tandem::start_unlinked(bench, &setup)?;
        tandem.b2bua.wait_udp(5060)?;
        tandem.b2bua.wait_tcp("127.0.0.1:5060")?;
        for table in ["udp", "tcp", "udp6", "tcp6"] {
            let sockets = fs::read_to_string(format!("/proc/net/{table}"))?;
            for line in sockets.lines().skip(1) {
                let local = line.split_whitespace().nth(1).unwrap_or_default();
                ensure!(local.starts_with("0100007F:"), "{table} has {local}");
            }
        }
        Ok(())
    })
}

/// N13: emergency numbers are refused in clear words, in every spelling, whatever the trunks say.
#[test]
fn emergency_numbers_are_refused() -> Result<()> {
    with_tandem(|bench| {
        let mut plan = Plan::usual(Server::chosen()?);
        let jid = plan.tandem.server.jid("alice");
        plan.tandem.numbers = vec![("112", &jid), ("911", &jid)];
        let scene = plan.open(bench)?;
        let spellings = [
            "112",
            "911",
            "+112",
            "+911",
            "+1911",
            "9911",
            "0112",
            "1-1-2",
            "sos",
            "sos.fire",
            "999",
            "110",
            r"911\40phones.test",
            r"sos\40phones.test",
        ];
        for localpart in spellings {
            scene
                .alice
                .send_chat(&scene.contact(localpart), localpart, "help")?;
            let error = scene.alice.expect_error(localpart)?;
            ensure!(
                error.condition() == "not-allowed",
                "{localpart}: {}",
                error.xml
            );
            ensure!(
                error.error_text().contains("mergency") && error.error_text().contains("telephone"),
                "{}",
                error.xml
            );
        }
        let gateway = scene.server.gateway();
        for uri in [
            format!("sip:112@{gateway}"),
            format!("sip:911@{gateway};user=phone"),
            format!("sip:9911@{gateway}"),
            format!("sip:+1911@{gateway};user=phone"),
            format!("sip:0112@{gateway}"),
            format!("sip:sos@{gateway}"),
            format!("sip:%39%31%31@{gateway}"),
            "tel:911;phone-context=+1".to_owned(),
            "tel:+1-911".to_owned(),
            "urn:service:sos".to_owned(),
            "urn:service:SOS.police".to_owned(),
        ] {
            let answer = scene.ask(&Draft::message(&uri, "sip:bob@phones.test", "help"))?;
            ensure!(
                answer.start_line() == "SIP/2.0 403 No emergency service",
                "{uri}: {answer}"
            );
            ensure!(answer.header("Warning").starts_with("399 "), "{answer}");
        }
        scene.alice.expect_none("message", |stanza| {
            stanza.body() == Some("help") && stanza.kind() != "error"
        })?;
        scene
            .trunk
            .expect_none("request", |message| message.text() == "help")
    })
}

/// The trunk's own address is where requests go; nothing else is ever contacted.
#[test]
fn a_redirect_is_not_followed() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let elsewhere = Agent::bind("127.0.0.3:5090")?;
        scene
            .alice
            .send_chat(&scene.contact(r"bob\40phones.test"), "m1", "where")?;
        let contact = "<sip:bob@127.0.0.3:5090>";
        scene
            .trunk
            .expect_body("where")?
            .reply_with(302, "Moved", &[("Contact", contact)])?;
        let error = scene.alice.expect_error("m1")?;
        ensure!(error.condition() == "redirect", "{}", error.xml);
        scene.carry(r"bob\40phones.test", "m2", "here")?;
        ensure!(TRUNK == scene.trunk.address().to_string());
        elsewhere.expect_none("request", |_| true)
    })
}
