//! The bench proves itself: every peer starts, speaks and is gone, all without Tandem.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use integration_tests::baresip::{Baresip, Transport};
use integration_tests::kamailio::{Algorithm, GATEWAY, Kamailio, Setup as KamailioSetup};
use integration_tests::linphone::Linphone;
use integration_tests::process::Process;
use integration_tests::server::{Conflict, Setup};
use integration_tests::sip::{Agent, Draft};
use integration_tests::sip_trace::Direction;
use integration_tests::sipp::{self, Sipp};
use integration_tests::xmpp::Xmpp;
use integration_tests::{Bench, Server, isolated, isolated_within, kamailio, net};

#[test]
fn prosody_carries_messages_of_clients_and_components() -> Result<()> {
    isolated(|bench| exchange_messages(bench, Server::Prosody))
}

#[test]
fn ejabberd_carries_messages_of_clients_and_components() -> Result<()> {
    isolated(|bench| exchange_messages(bench, Server::Ejabberd))
}

fn exchange_messages(bench: &Bench, server: Server) -> Result<()> {
    let _running = server.start(
        bench,
        Setup {
            accounts: &["alice", "bob"],
            ..Setup::default()
        },
    )?;
    let xmpp = Xmpp::start(bench)?;
    let alice = xmpp.log_in(server, "alice", "desk")?;
    let bob = xmpp.log_in(server, "bob", "phone")?;
    let gateway = xmpp.attach(server.gateway())?;

    alice.send_chat(bob.jid(), "m1", "<hello> & welcome")?;
    let message = bob.expect_body("<hello> & welcome")?;
    ensure!(
        message.from() == "alice@".to_owned() + server.domain() + "/desk" && message.id() == "m1"
    );

    alice.send_chat(
        &format!("dave\\40sip.test@{}", server.gateway()),
        "m2",
        "to the gateway",
    )?;
    let message = gateway.expect_body("to the gateway")?;
    gateway.send(&format!(
        "<message from='{}' to='{}' id='m2' type='error'><error type='cancel'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        message.to(),
        message.from()
    ))?;
    let error = alice.expect_error("m2")?;
    ensure!(error.condition() == "item-not-found" && error.error_kind() == "cancel");

    let disco = alice.ask(
        "get",
        server.gateway(),
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    )?;
    ensure!(disco.kind() == "result" && disco.mentions("http://jabber.org/protocol/disco#info"));
    bob.expect_none("second message", |stanza| stanza.body().is_some())?;
    alice.log_out()?;
    bob.vanish()
}

#[test]
fn a_wrong_secret_or_password_is_refused() -> Result<()> {
    isolated(|bench| {
        let server = Server::chosen()?;
        let _running = server.start(
            bench,
            Setup {
                accounts: &["alice"],
                ..Setup::default()
            },
        )?;
        let xmpp = Xmpp::start(bench)?;
        ensure!(xmpp.attach_with(server.gateway(), "wrong").is_err());
        ensure!(xmpp.log_in(server, "mallory", "x").is_err());
        xmpp.attach(server.gateway()).map(drop)
    })
}

#[test]
fn prosody_keeps_the_first_of_two_components_unless_told_otherwise() -> Result<()> {
    isolated(|bench| {
        let server = Server::Prosody;
        let mut running = server.start(bench, Setup::default())?;
        let xmpp = Xmpp::start(bench)?;
        let first = xmpp.attach(server.gateway())?;
        ensure!(xmpp.attach(server.gateway()).is_err());
        first.send(&format!(
            "<presence from='{0}' to='{0}'/>",
            server.gateway()
        ))?;
        first.expect("the own presence", |stanza| stanza.name == "presence")?;

        running.process.terminate()?;
        first.expect_end()?;
        let _running = server.start(
            bench,
            Setup {
                conflict: Conflict::KickOld,
                ..Setup::default()
            },
        )?;
        let first = xmpp.attach(server.gateway())?;
        let _second = xmpp.attach(server.gateway())?;
        first.expect_end().map(drop)
    })
}

#[test]
fn servers_come_back_after_a_kill_with_their_accounts() -> Result<()> {
    isolated(|bench| {
        let server = Server::chosen()?;
        let mut running = server.start(
            bench,
            Setup {
                accounts: &["alice"],
                ..Setup::default()
            },
        )?;
        let xmpp = Xmpp::start(bench)?;
        let before = xmpp.log_in(server, "alice", "before")?;
        running.process.kill_now()?;
        before.expect_end()?;
        running.start_again()?;
        xmpp.log_in(server, "alice", "after").map(drop)
    })
}

#[test]
fn phones_register_with_digest_and_exchange_messages() -> Result<()> {
    isolated(|bench| {
        let users = KamailioSetup {
            users: &["carol", "dave", "erin"],
            ..KamailioSetup::default()
        };
        let mut registrar = Kamailio::start(bench, users)?;
        let mut carol = Baresip::start(
            bench,
            0,
            "carol",
            &["sip:dave@sip.test", "sip:erin@sip.test"],
        )?;
        let mut dave =
            Baresip::start_over(Transport::Tcp, bench, 1, "dave", &["sip:carol@sip.test"])?;
        let mut erin = Linphone::start(bench, "erin")?;

        carol.send_message("sip:dave@sip.test", "hello däve")?;
        dave.wait_message("hello däve")?.reparse()?;
        ensure!(carol.wait_status("hello däve")? == 200);
        let passed = registrar.wait_passed("hello däve")?;
        ensure!(passed.from == "sip:carol@sip.test" && passed.content_type == "text/plain");
        ensure!(registrar.wait_answered(&passed.call_id)?.status == 200);

        carol.send_message("sip:erin@sip.test", "hello erin")?;
        erin.wait_message("hello erin")?;
        erin.wait_sent("a delivery notification", |message| {
            message.header("Content-Type").contains("imdn")
        })?;
        erin.send_message("sip:carol@sip.test", "hello carol")?;
        carol.wait_message("hello carol")?;
        ensure!(erin.wait_status("hello carol")? == 200);
        Ok(())
    })
}

#[test]
fn a_registrar_with_sha_256_takes_agents_of_that_kind_only() -> Result<()> {
    isolated(|bench| {
        let setup = KamailioSetup {
            algorithm: Algorithm::Sha256,
            ..KamailioSetup::default()
        };
        let mut registrar = Kamailio::start(bench, setup)?;
        let agent = Agent::bind("127.0.0.1:5090")?;
        let path = agent.udp_to(kamailio::ADDRESS)?;
        let draft =
            Draft::new("REGISTER", "sip:sip.test").with("From", "<sip:carol@sip.test>;tag=1");
        let challenge = agent.ask(&draft.with("To", "<sip:carol@sip.test>"), &path)?;
        ensure!(
            challenge.status() == Some(401)
                && challenge.header("WWW-Authenticate").contains("SHA-256")
        );
        registrar.process.stop()
    })
}

#[test]
fn a_scenario_sends_and_another_receives() -> Result<()> {
    isolated(|bench| {
        let mut registrar = Kamailio::start(bench, KamailioSetup::default())?;
        let rows = &["carol;[authentication username=carol password=pw-carol]"];
        let register = sipp::Setup {
            port: 5080,
            target: Some(kamailio::ADDRESS),
            rows,
            ..sipp::Setup::default()
        };
        Sipp::run(bench, "register", sipp::REGISTER, register)?;
        registrar.wait_registered("carol")?;

        let accept = sipp::Setup {
            calls: 2,
            ..sipp::Setup::default()
        };
        let mut scenario = Sipp::start(bench, "accept", sipp::ACCEPT_MESSAGES, accept)?;
        let mut dave = Baresip::start(bench, 0, "dave", &["sip:carol@sip.test"])?;
        for text in ["one", "two"] {
            dave.send_message("sip:carol@sip.test", text)?;
            ensure!(dave.wait_status(text)? == 200);
        }
        scenario.finish()?;
        let received = scenario
            .trace()?
            .into_iter()
            .filter(|(way, _)| *way == Direction::Received);
        let texts: Vec<String> = received.map(|(_, message)| message.text()).collect();
        ensure!(texts == ["one", "two"], "received {texts:?}");
        Ok(())
    })
}

#[test]
fn a_scenario_that_is_not_satisfied_fails() -> Result<()> {
    isolated(|bench| {
        let limit = Duration::from_secs(1);
        let never = sipp::Setup {
            limit,
            ..sipp::Setup::default()
        };
        ensure!(Sipp::run(bench, "never", sipp::ACCEPT_MESSAGES, never).is_err());
        Ok(())
    })
}

#[test]
fn the_registrar_hands_the_gateways_domain_to_the_gateway() -> Result<()> {
    isolated(|bench| {
        let setup = KamailioSetup {
            challenge_gateway: true,
            ..KamailioSetup::default()
        };
        let mut registrar = Kamailio::start(bench, setup)?;
        let uri = "sip:alice%40localhost@sip.localhost";
        let mut carol = Baresip::start(bench, 0, "carol", &[uri])?;
        let gateway = Agent::bind(GATEWAY)?;

        carol.send_message(uri, "hello gateway")?;
        let request = gateway.expect_body("hello gateway")?;
        request.message.reparse()?;
        ensure!(request.message.uri() == uri);
        request.reply(202, "Accepted")?;
        ensure!(carol.wait_status("hello gateway")? == 202);
        registrar.wait_passed("hello gateway")?;

        // From the gateway's address credentials are wanted; from another, over TCP, they are not.
        let path = gateway.udp_to(kamailio::ADDRESS)?;
        let answer = gateway.ask(
            &Draft::message("sip:carol@sip.test", "sip:alice@localhost", "back"),
            &path,
        )?;
        ensure!(answer.status() == Some(407), "{answer}");
        let other = Agent::bind("127.0.0.1:5090")?;
        let path = other.tcp_to(kamailio::ADDRESS)?;
        let answer = other.ask(
            &Draft::message("sip:carol@sip.test", "sip:alice@localhost", "back"),
            &path,
        )?;
        ensure!(answer.status() == Some(200), "{answer}");
        carol.wait_message("back").map(drop)
    })
}

#[test]
fn a_planted_failure_is_reported_with_its_logs() -> Result<()> {
    let outcome = isolated(|bench| {
        let mut command = Command::new("sh");
        command.args(["-c", "echo the words of the peer"]);
        Process::start(bench, "peer", command)?.wait_log("of the peer")?;
        bail!("planted")
    });
    if net::is_inside() {
        return outcome;
    }
    let report = format!("{:#}", outcome.expect_err("the failure of the test"));
    assert!(
        report.contains("planted") && report.contains("the words of the peer"),
        "{report}"
    );
    Ok(())
}

#[test]
fn a_test_that_hangs_is_ended() -> Result<()> {
    let outcome = isolated_within(Duration::from_secs(2), |_| {
        sleep(Duration::from_secs(3_600));
        Ok(())
    });
    let report = format!("{:#}", outcome.expect_err("the end of the test"));
    assert!(report.contains("time limit"), "{report}");
    Ok(())
}

#[test]
fn a_failed_wait_tells_what_came_instead() -> Result<()> {
    isolated(|bench| {
        let server = Server::Prosody;
        let _running = server.start(
            bench,
            Setup {
                accounts: &["alice"],
                ..Setup::default()
            },
        )?;
        let alice = Xmpp::start(bench)?.log_in(server, "alice", "desk")?;
        alice.send_chat(alice.jid(), "m1", "something else")?;
        alice.settle()?;
        let missing = alice.expect_within(Duration::from_millis(100), "a greeting", |s| {
            s.body() == Some("hello")
        });
        let report = format!("{:#}", missing.expect_err("no greeting"));
        ensure!(
            report.contains("a greeting") && report.contains("something else"),
            "{report}"
        );
        Ok(())
    })
}

#[test]
fn nothing_outlives_a_test() -> Result<()> {
    // A process that left its group and its parent is found by its odd argument.
    const MARK: &str = "86397.25";
    let outcome = isolated(|bench| {
        let mut command = Command::new("setsid");
        command.args(["--fork", "sleep", MARK]);
        Process::start(bench, "stray", command)?.wait_exit(Duration::from_secs(5))?;
        ensure!(is_running(MARK)?, "the stray process was not started");
        Ok(())
    });
    if !net::is_inside() {
        ensure!(!is_running(MARK)?, "the stray process is still there");
    }
    outcome
}

fn is_running(argument: &str) -> Result<bool> {
    for entry in fs::read_dir("/proc")? {
        // Processes may end while they are listed.
        let Ok(line) = fs::read(entry?.path().join("cmdline")) else {
            continue;
        };
        if line
            .split(|byte| *byte == 0)
            .any(|part| part == argument.as_bytes())
        {
            return Ok(true);
        }
    }
    Ok(false)
}
