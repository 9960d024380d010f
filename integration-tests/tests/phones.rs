//! Conversations with real phones behind a real registrar (checklist rows A02, M01, M08; UDP, TCP and TLS).

use anyhow::{Result, ensure};
use integration_tests::baresip::Baresip;
use integration_tests::kamailio::{self, Algorithm, Kamailio};
use integration_tests::linphone::Linphone;
use integration_tests::scene::{Plan, trunk};
use integration_tests::tandem::{Trunk, with_tandem};
use integration_tests::{Bench, Scene, Server, on_both_servers};

on_both_servers!(
    /// A02, M08: a phone registered with Kamailio, over UDP, with digest by MD5.
    a_phone_behind_a_registrar_talks_over_udp,
);

fn a_phone_behind_a_registrar_talks_over_udp(bench: &Bench, server: Server) -> Result<()> {
    converse(bench, server, "udp", kamailio::ADDRESS, Algorithm::Md5)
}

/// M08: digest by SHA-256 (RFC 8760), over both plain transports. The phone knows only MD5, so it is not there.
#[test]
fn a_registrar_with_sha_256_lets_the_gateway_in() -> Result<()> {
    with_tandem(|bench| {
        let server = Server::chosen()?;
        let mut registrar = Kamailio::start(bench, registrar(Algorithm::Sha256))?;
        let mut plan = plan(server, "udp", kamailio::ADDRESS);
        let stream = Trunk {
            name: "stream",
            matches: "+*",
            transport: "tcp",
            extra: "domain = \"sip.test\"",
            ..plan.tandem.trunks.last().cloned().unwrap_or_default()
        };
        plan.tandem.trunks.push(stream);
        let mut scene = plan.open(bench)?;
        for (localpart, transport) in [(r"carol\40sip.test", "udp:"), ("+15550123", "tcp:")] {
            scene
                .alice
                .send_chat(&scene.contact(localpart), transport, transport)?;
            // Nobody is there, but the gateway was let in.
            let error = scene.alice.expect_error(transport)?;
            ensure!(
                matches!(
                    error.condition(),
                    "recipient-unavailable" | "item-not-found"
                ),
                "{}",
                error.xml
            );
            let passed = registrar.wait_passed(transport)?;
            ensure!(passed.source.starts_with(transport), "{passed:?}");
        }
        expect_challenges(&mut scene)
    })
}

/// M08: a wrong password is the operator's business: the user hears that it is not theirs.
#[test]
fn a_wrong_password_is_not_the_users_fault() -> Result<()> {
    with_tandem(|bench| {
        let mut registrar = Kamailio::start(bench, registrar(Algorithm::Md5))?;
        let mut plan = plan(Server::chosen()?, "udp", kamailio::ADDRESS);
        for trunk in &mut plan.tandem.trunks {
            trunk.credentials = Some(("tandem", "wrong"));
        }
        let scene = plan.open(bench)?;
        scene
            .alice
            .send_chat(&scene.contact(r"carol\40sip.test"), "m1", "hello")?;
        let error = scene.alice.expect_error("m1")?;
        ensure!(
            error.condition() == "internal-server-error",
            "{}",
            error.xml
        );
        ensure!(
            error.error_text().contains("authenticate") && !error.xml.contains("401"),
            "{}",
            error.xml
        );
        ensure!(registrar.passed()?.is_empty());
        registrar.process.stop()
    })
}

/// A phone behind a registrar that is reached over TCP.
#[test]
fn a_phone_behind_a_registrar_talks_over_tcp() -> Result<()> {
    with_tandem(|bench| {
        converse(
            bench,
            Server::chosen()?,
            "tcp",
            kamailio::ADDRESS,
            Algorithm::Md5,
        )
    })
}

/// The same over TLS, whose certificate is checked by name.
#[test]
fn a_phone_behind_a_registrar_talks_over_tls() -> Result<()> {
    with_tandem(|bench| {
        converse(
            bench,
            Server::chosen()?,
            "tls",
            "localhost:5061",
            Algorithm::Md5,
        )
    })
}

/// A certificate for another name is no certificate: nothing is sent, and the user is told in the end.
#[test]
fn a_certificate_for_another_name_is_refused() -> Result<()> {
    with_tandem(|bench| {
        let mut registrar = Kamailio::start(bench, registrar(Algorithm::Md5))?;
        let mut plan = plan(Server::chosen()?, "tls", "localhost:5061");
        let authorities = format!(
            "[sip]\nauthorities = \"{}\"\n[message]\nretry_for = 1\n",
            registrar.certificate.certificate.display()
        );
        plan.tandem.b2bua_extra = &authorities;
        for trunk in plan.tandem.trunks.iter_mut().skip(1) {
            trunk.extra = "tls_name = \"other.test\"";
        }
        let scene = plan.open(bench)?;
        scene
            .alice
            .send_chat(&scene.contact(r"carol\40sip.test"), "m1", "a secret")?;
        let error = scene.alice.expect_error("m1")?;
        ensure!(
            error.condition() == "remote-server-timeout" && error.error_text().contains("secure"),
            "{}",
            error.xml
        );
        ensure!(registrar.passed()?.is_empty());
        registrar.process.stop()
    })
}

/// linphone asks for notifications and wraps them in types that are not built: its texts cross all the same.
#[test]
fn linphone_talks() -> Result<()> {
    with_tandem(|bench| {
        let server = Server::chosen()?;
        let _registrar = Kamailio::start(bench, registrar(Algorithm::Md5))?;
        let scene = plan(server, "udp", kamailio::ADDRESS).open(bench)?;
        let mut phone = Linphone::start(bench, "dave")?;
        scene
            .alice
            .send_chat(&scene.contact(r"dave\40sip.test"), "m1", "hello däve")?;
        phone.wait_message("hello däve")?;
        phone.send_message(&scene.uri("alice"), "hello älice")?;
        let message = scene.alice.expect_body("hello älice")?;
        ensure!(
            message.from() == scene.contact(r"dave\40sip.test"),
            "{}",
            message.xml
        );
        ensure!(phone.wait_status("hello älice")? == 202);
        scene
            .alice
            .expect_none("error", |stanza| stanza.kind() == "error")
    })
}

/// A phone that is called away, and one that is not there: what the registrar says is what the user hears.
#[test]
fn absent_phones_are_told_as_such() -> Result<()> {
    with_tandem(|bench| {
        let _registrar = Kamailio::start(bench, registrar(Algorithm::Md5))?;
        let scene = plan(Server::chosen()?, "udp", kamailio::ADDRESS).open(bench)?;
        for (id, user, condition) in [
            ("m1", "carol", "recipient-unavailable"),
            ("m2", "nobody", "item-not-found"),
        ] {
            scene
                .alice
                .send_chat(&scene.contact(&format!(r"{user}\40sip.test")), id, "hello")?;
            let error = scene.alice.expect_error(id)?;
            ensure!(error.condition() == condition, "{}", error.xml);
        }
        Ok(())
    })
}

/// alice and carol's phone talk; the registrar challenges the gateway.
fn converse(
    bench: &Bench,
    server: Server,
    transport: &str,
    hop: &str,
    algorithm: Algorithm,
) -> Result<()> {
    let mut registrar = Kamailio::start(bench, registrar(algorithm))?;
    let mut plan = plan(server, transport, hop);
    let authorities = format!(
        "[sip]\nauthorities = \"{}\"\n",
        registrar.certificate.certificate.display()
    );
    if transport == "tls" {
        plan.tandem.b2bua_extra = &authorities;
    }
    let mut scene = plan.open(bench)?;
    let uri = scene.uri("alice");
    let mut carol = Baresip::start(bench, 0, "carol", &[&uri])?;
    talk(&scene, &mut carol, &uri)?;
    let passed = registrar.wait_passed("hello cärol")?;
    ensure!(
        passed.source.starts_with(&format!("{transport}:")),
        "{passed:?}"
    );
    ensure!(
        passed.uri == "sip:carol@sip.test" && passed.from == uri,
        "{passed:?}"
    );
    scene.tandem.expect_clean_log(&["hello", "again"])?;
    expect_challenges(&mut scene)
}

/// The gateway was challenged at least once: what it was let in by was its account.
fn expect_challenges(scene: &mut Scene) -> Result<()> {
    scene.tandem.b2bua.terminate()?;
    let log = scene.tandem.b2bua.read_log()?;
    // The first count is that of messages, the next that of whom we challenged ourselves.
    let counted = log.split("challenged: ").nth(1);
    ensure!(
        counted.is_some_and(|count| !count.starts_with("0,")),
        "nobody challenged the gateway: {log}"
    );
    Ok(())
}

fn talk(scene: &Scene, carol: &mut Baresip, uri: &str) -> Result<()> {
    let contact = scene.contact(r"carol\40sip.test");
    scene.alice.send_chat(&contact, "m1", "hello cärol")?;
    carol.wait_message("hello cärol")?.reparse()?;
    carol.send_message(uri, "hello älice")?;
    let message = scene.alice.expect_body("hello älice")?;
    ensure!(message.from() == contact, "{}", message.xml);
    ensure!(carol.wait_status("hello älice")? == 202);
    for at in 0..3 {
        let text = format!("again {at}");
        scene.alice.send_chat(message.from(), &text, &text)?;
        carol.wait_message(&text)?;
    }
    scene
        .alice
        .expect_none("error", |stanza| stanza.kind() == "error")
}

fn registrar(algorithm: Algorithm) -> kamailio::Setup<'static> {
    kamailio::Setup {
        users: &["carol", "dave", "tandem"],
        algorithm,
        challenge_gateway: true,
        ..kamailio::Setup::default()
    }
}

fn plan<'a>(server: Server, transport: &'a str, hop: &'a str) -> Plan<'a> {
    let mut plan = Plan::usual(server);
    plan.tandem.trunks.push(Trunk {
        name: "registrar",
        matches: "*@sip.test",
        next_hop: hop,
        transport,
        credentials: Some(("tandem", "pw-tandem")),
        ..trunk()
    });
    plan
}
