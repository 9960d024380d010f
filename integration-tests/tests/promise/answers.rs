//! What SIP senders are told: a 2xx only for what the server has, and always the same for the same.

use anyhow::{Result, ensure};
use integration_tests::process::Signal;
use integration_tests::scene::{Plan, Scene};
use integration_tests::sip::{Draft, Message};
use integration_tests::tandem::with_tandem;
use integration_tests::{Bench, Server};

#[test]
fn a_repeated_request_gets_its_recorded_response_and_no_second_stanza() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = open(bench)?;
        let (delivered, refused) = (scene.draft("once"), to_nobody(&scene));
        let expect_same = |scene: &Scene, branch: &str| -> Result<()> {
            let answer = scene.ask(&delivered.clone().with_branch(branch))?;
            ensure!(answer.status() == Some(202), "{answer}");
            let answer = scene.ask(&refused.clone().with_branch(&format!("{branch}-n")))?;
            ensure!(
                answer.status() == Some(404) || answer.status() == Some(480),
                "{answer}"
            );
            scene.alice.settle()
        };
        expect_same(&scene, "z9hG4bK-one")?;
        scene.alice.expect_body("once")?;
        expect_same(&scene, "z9hG4bK-two")?;
        scene.tandem.crash_b2bua()?;
        scene.tandem.wait_linked()?;
        expect_same(&scene, "z9hG4bK-three")?;
        scene.tandem.crash_component()?;
        scene.tandem.wait_linked()?;
        scene.tandem.wait_reachable(&scene.alice)?;
        expect_same(&scene, "z9hG4bK-four")?;
        scene
            .alice
            .expect_none("second stanza", |stanza| stanza.body() == Some("once"))
    })
}

#[test]
fn nothing_is_accepted_before_the_server_has_it() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = open(bench)?;
        let mark = scene.tandem.component.mark()?;
        scene.running.process.kill(Signal::SIGSTOP)?;
        let draft = scene.draft("held");
        scene.tell(&draft)?;
        scene
            .tandem
            .component
            .wait_log_since(mark, "message from SIP")?;
        // Both processes are well, and would have said something by now.
        for _ in 0..30 {
            let answer = scene.ask(&Draft::new("OPTIONS", &scene.uri("alice")))?;
            ensure!(answer.status() == Some(200), "{answer}");
        }
        scene
            .trunk
            .expect_none("early response", |m| is_final_to(m, &draft))?;
        scene.running.process.kill(Signal::SIGCONT)?;
        let answer = scene
            .trunk
            .expect("the final response", |m| is_final_to(m, &draft))?;
        ensure!(answer.message.status() == Some(202), "{}", answer.message);
        scene.alice.expect_body("held").map(drop)
    })
}

#[test]
fn what_a_frozen_server_takes_to_its_grave_was_not_accepted() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = open(bench)?;
        let mark = scene.tandem.component.mark()?;
        scene.running.process.kill(Signal::SIGSTOP)?;
        let draft = scene.draft("lost");
        scene.tell(&draft)?;
        scene
            .tandem
            .component
            .wait_log_since(mark, "message from SIP")?;
        scene.running.process.kill_now()?;
        let answer = scene
            .trunk
            .expect("the final response", |m| is_final_to(m, &draft))?;
        expect_not_now(&answer.message)
    })
}

#[test]
fn a_sip_sender_is_told_when_to_come_back_while_something_is_down() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = open(bench)?;
        scene.running.process.kill_now()?;
        scene.tandem.component.wait_log("the XMPP stream ended")?;
        expect_not_now(&scene.ask(&scene.draft("no server"))?)?;
        scene.running.start_again()?;
        scene.alice = scene.xmpp.log_in(scene.server, "alice", "desk")?;
        scene.tandem.wait_reachable(&scene.alice)?;

        let mark = scene.tandem.b2bua.mark()?;
        scene.tandem.component.kill_now()?;
        scene
            .tandem
            .b2bua
            .wait_log_since(mark, "the XMPP side is gone")?;
        expect_not_now(&scene.ask(&scene.draft("no component"))?)?;
        scene.tandem.component.start_again()?;
        scene
            .tandem
            .b2bua
            .wait_log_since(mark, "the XMPP side is there")?;
        scene.tandem.wait_reachable(&scene.alice)?;
        let answer = scene.ask(&scene.draft("all is well"))?;
        ensure!(answer.status() == Some(202), "{answer}");
        scene.alice.expect_body("all is well").map(drop)
    })
}

fn open(bench: &Bench) -> Result<Scene> {
    let mut plan = Plan::usual(Server::chosen()?);
    plan.tandem.log_level = "debug";
    plan.open(bench)
}

fn to_nobody(scene: &Scene) -> Draft {
    Draft::message(&scene.uri("nobody"), "sip:bob@phones.test", "to nobody")
}

fn is_final_to(message: &Message, draft: &Draft) -> bool {
    message.header("Call-ID") == draft.call_id() && message.status().is_some_and(|s| s >= 200)
}

/// 480 with a time; never 503, by which a proxy would take the whole gateway for dead.
fn expect_not_now(answer: &Message) -> Result<()> {
    ensure!(
        answer.status() == Some(480) && !answer.header("Retry-After").is_empty(),
        "{answer}"
    );
    Ok(())
}
