//! What is surely undelivered is tried again, what is in doubt is not, and others never wait.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use integration_tests::promise::outbox;
use integration_tests::scene::{Plan, Scene};
use integration_tests::sip::{Agent, Message, Received};
use integration_tests::tandem::{Trunk, with_tandem};
use integration_tests::{Bench, Server, program};

#[test]
fn a_destination_that_refuses_connections_gets_its_message_when_it_is_back() -> Result<()> {
    with_tandem(|bench| {
        let scene = open(bench, TRIES)?;
        scene
            .alice
            .send_chat(&scene.contact("u\\40away.test"), "a1", "later")?;
        scene
            .alice
            .send_chat(&scene.contact("u\\40away.test"), "a2", "later still")?;
        // Others do not wait: this one is written last and arrives first.
        scene.carry("u\\40phones.test", "p1", "at once")?;
        let back = Agent::bind(AWAY)?;
        for text in ["later", "later still"] {
            back.expect_body(text)?.reply(200, "OK")?;
        }
        scene
            .alice
            .expect_none("error", |stanza| stanza.kind() == "error")
    })
}

#[test]
fn a_name_that_is_not_found_is_asked_again() -> Result<()> {
    with_tandem(|bench| {
        let scene = open(bench, TRIES)?;
        let hosts = bench.write("hosts", "127.0.0.1 localhost\n")?;
        let bound = Command::new(program::find("mount", "mount")?)
            .arg("--bind")
            .arg(&hosts)
            .arg("/etc/hosts")
            .status()?;
        ensure!(bound.success(), "the test's own /etc/hosts");
        scene
            .alice
            .send_chat(&scene.contact("u\\40nowhere.test"), "n1", "found")?;
        scene.carry("u\\40phones.test", "p1", "at once")?;
        let there = Agent::bind(NOWHERE)?;
        bench.write("hosts", "127.0.0.1 localhost nowhere.test\n")?;
        there.expect_body("found")?.reply(200, "OK")?;
        scene
            .alice
            .expect_none("error", |stanza| stanza.kind() == "error")
    })
}

#[test]
fn a_message_is_bounced_when_its_time_for_retries_is_over() -> Result<()> {
    with_tandem(|bench| {
        let scene = open(bench, "[message]\nretry_for = 3\n")?;
        scene
            .alice
            .send_chat(&scene.contact("u\\40away.test"), "a1", "never")?;
        let error = scene.alice.expect_error("a1")?;
        ensure!(
            error.error_kind() == "wait" || error.error_kind() == "cancel",
            "{}",
            error.xml
        );
        ensure!(
            !error.error_text().contains("may not"),
            "there is no doubt: {}",
            error.xml
        );
        expect_empty_outbox(bench, scene)
    })
}

#[test]
fn a_peer_that_says_when_to_come_back_is_asked_again_with_the_same_request() -> Result<()> {
    with_tandem(|bench| {
        let scene = open(bench, TRIES)?;
        let contact = scene.contact("u\\40phones.test");
        scene.alice.send_chat(&contact, "a1", "first")?;
        scene.alice.send_chat(&contact, "a2", "second")?;
        let mut asked: Vec<Message> = Vec::new();
        for status in [480, 503] {
            let request = scene.trunk.expect_body("first")?;
            request.reply_with(status, "Not now", &[("Retry-After", "1")])?;
            asked.push(request.message);
        }
        scene.carry("other\\40phones.test", "o1", "elsewhere")?;
        let last = scene.trunk.expect_body("first")?;
        scene
            .trunk
            .expect_none("overtaking", |message| message.text() == "second")?;
        last.reply(200, "OK")?;
        scene.trunk.expect_body("second")?.reply(200, "OK")?;
        for earlier in &asked {
            expect_same_request(earlier, &last.message)?;
        }
        scene
            .alice
            .expect_none("error", |stanza| stanza.kind() == "error")
    })
}

#[test]
fn silence_is_doubt_and_the_queue_waits_for_an_answered_probe() -> Result<()> {
    with_tandem(|bench| {
        let scene = open(bench, "[sip]\nt1_ms = 20\n")?;
        let contact = scene.contact("u\\40phones.test");
        scene.alice.send_chat(&contact, "a1", "unheard")?;
        scene.alice.send_chat(&contact, "a2", "behind it")?;
        let error = scene.alice.expect_error("a1")?;
        ensure!(
            error.error_text().contains("may not have been delivered"),
            "{}",
            error.xml
        );
        scene.carry("other\\40phones.test", "o1", "elsewhere")?;
        let first = scene.trunk.expect_request("OPTIONS")?;
        let branch = first.message.header("Via");
        let probe = scene.trunk.expect("another probe", |message| {
            message.method() == Some("OPTIONS") && message.header("Via") != branch
        })?;
        scene.trunk.expect_none("message into doubt", |message| {
            message.text() == "behind it"
        })?;
        probe.reply(200, "OK")?;
        scene.trunk.expect_body("behind it")?.reply(200, "OK")?;
        let unheard = take_all(&scene.trunk, "unheard");
        let branches: std::collections::BTreeSet<String> =
            unheard.iter().map(|r| r.message.header("Via")).collect();
        ensure!(
            branches.len() == 1,
            "a message in doubt was repeated: {branches:?}"
        );
        expect_empty_outbox(bench, scene)
    })
}

#[test]
fn rows_are_sent_again_after_a_death_as_the_same_requests() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = open(bench, TRIES)?;
        let contact = scene.contact("u\\40phones.test");
        scene.alice.send_chat(&contact, "a1", "kept")?;
        let before = scene.trunk.expect_body("kept")?;

        // Alone, the component's death changes nothing on the wire.
        scene.tandem.crash_component()?;
        scene.tandem.wait_linked()?;
        scene.tandem.wait_reachable(&scene.alice)?;
        let same = |branch: &str| {
            let branch = branch.to_owned();
            move |message: &Message| message.text() == "kept" && message.header("Via") != branch
        };
        let via = before.message.header("Via");
        // Not stored, since its outcome may not be known yet when the component dies again.
        send_unstored(&scene, "other\\40phones.test", "o1", "a sign of life")?;
        scene
            .trunk
            .expect_body("a sign of life")?
            .reply(200, "OK")?;
        scene.trunk.expect_none("second request", same(&via))?;

        scene.tandem.component.kill_now()?;
        scene.tandem.crash_b2bua()?;
        scene.tandem.component.start_again()?;
        let after = scene.trunk.expect("the row again", same(&via))?;
        expect_same_request(&before.message, &after.message)?;
        after.reply(200, "OK")?;
        expect_empty_outbox(bench, scene)
    })
}

#[test]
fn an_outcome_reaches_a_component_that_was_started_again() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = open(bench, TRIES)?;
        scene
            .alice
            .send_chat(&scene.contact("u\\40phones.test"), "a1", "refused")?;
        let request = scene.trunk.expect_body("refused")?;
        scene.tandem.crash_component()?;
        scene.tandem.wait_linked()?;
        scene.tandem.wait_reachable(&scene.alice)?;
        request.reply(486, "Busy Here")?;
        scene.alice.expect_error("a1")?;
        expect_empty_outbox(bench, scene)
    })
}

#[test]
fn a_message_that_must_not_be_stored_is_not_in_the_file() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = open(bench, TRIES)?;
        send_unstored(&scene, "u\\40phones.test", "s1", "off the record")?;
        scene.alice.send_chat(
            &scene.contact("other\\40phones.test"),
            "s2",
            "on the record",
        )?;
        scene.trunk.expect_body("off the record")?;
        scene.trunk.expect_body("on the record")?;
        scene.tandem.component.kill_now()?;
        let rows = outbox::read(bench)?;
        ensure!(rows.iter().eq(["s2"]), "in the outbox: {rows:?}");
        let mut bytes = std::fs::read(bench.path("component.sqlite"))?;
        bytes.extend(std::fs::read(bench.path("component.sqlite-wal"))?);
        let found = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        ensure!(
            found("on the record") && !found("off the record"),
            "the file tells it"
        );
        Ok(())
    })
}

/// Retries as configured by default.
const TRIES: &str = "";
/// Where nobody listens until the test does; routed over TCP.
const AWAY: &str = "127.0.0.1:5091";
/// Where `nowhere.test` is once its name is known.
const NOWHERE: &str = "127.0.0.1:5092";

/// The usual scene with more ways out, and more lines in `b2bua.toml`.
fn open(bench: &Bench, b2bua: &str) -> Result<Scene> {
    let mut plan = Plan::usual(Server::chosen()?);
    plan.tandem.trunks.push(Trunk {
        name: "away",
        matches: "*@away.test",
        next_hop: AWAY,
        transport: "tcp",
        ..Trunk::default()
    });
    plan.tandem.trunks.push(Trunk {
        name: "nowhere",
        matches: "*@nowhere.test",
        next_hop: "nowhere.test:5092",
        transport: "udp",
        ..Trunk::default()
    });
    plan.tandem.b2bua_extra = b2bua;
    plan.open(bench)
}

/// XEP-0334 §4.2.
fn send_unstored(scene: &Scene, localpart: &str, id: &str, body: &str) -> Result<()> {
    scene.alice.send(&format!(
        "<message to='{}' id='{id}' type='chat'><body>{body}</body>\
         <no-store xmlns='urn:xmpp:hints'/></message>",
        scene.contact(localpart)
    ))
}

fn expect_same_request(one: &Message, other: &Message) -> Result<()> {
    for name in ["Call-ID", "CSeq", "From", "To"] {
        let (one, other) = (one.header(name), other.header(name));
        ensure!(
            one == other && !one.is_empty(),
            "{name}: {one:?}, then {other:?}"
        );
    }
    ensure!(
        one.uri() == other.uri(),
        "{} then {}",
        one.uri(),
        other.uri()
    );
    Ok(())
}

fn take_all(agent: &Agent, text: &str) -> Vec<Received> {
    std::iter::from_fn(|| agent.take(|message| message.text() == text)).collect()
}

/// Ends Tandem in order, and looks into its outbox.
fn expect_empty_outbox(bench: &Bench, mut scene: Scene) -> Result<()> {
    scene.tandem.wait_reachable(&scene.alice)?;
    // A message behind the others: when it has arrived, their outcomes have left the b2bua.
    scene.carry("last\\40phones.test", "last", "the last")?;
    scene.alice.settle()?;
    scene.tandem.terminate()?;
    let left = outbox::read(bench).context("the outbox")?;
    ensure!(
        left.iter().all(|id| id == "last"),
        "left in the outbox: {left:?}"
    );
    Ok(())
}
