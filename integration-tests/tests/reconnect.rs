//! The server and each process go and come back while the others stay (checklist rows U01, M24).

use anyhow::{Result, ensure};
use integration_tests::process::Signal;
use integration_tests::scene::Plan;
use integration_tests::tandem::with_tandem;
use integration_tests::{Bench, Scene, Server, on_both_servers};

on_both_servers!(
    /// The server ends or is killed; Tandem comes back to it, and tells SIP to wait meanwhile.
    the_server_may_go_and_come_back,
    /// Either process is killed, and messages cross again.
    each_process_may_be_restarted_alone,
);

fn the_server_may_go_and_come_back(bench: &Bench, server: Server) -> Result<()> {
    let mut scene = Scene::open(bench, server)?;
    for round in ["ended", "killed"] {
        let mark = scene.tandem.component.mark()?;
        if round == "ended" {
            scene.running.process.terminate()?;
        } else {
            scene.running.process.kill_now()?;
        }
        scene
            .tandem
            .component
            .wait_log_since(mark, "the XMPP stream ended")?;
        // M24: not now, but soon; never 503, which would send the peer elsewhere.
        let answer = scene.ask(&scene.draft("while it is away"))?;
        ensure!(
            answer.status() == Some(480) && answer.header("Retry-After").parse::<u32>().is_ok(),
            "{answer}"
        );
        scene.running.start_again()?;
        scene
            .tandem
            .component
            .wait_log_since(mark, "connected to the XMPP server")?;
        scene.alice = scene.xmpp.log_in(server, "alice", "desk")?;
        scene.tandem.wait_reachable(&scene.alice)?;
        scene.expect_crossing(round)?;
        // A refused message may be sent again, and is then delivered.
        let answer = scene.ask(&scene.draft(&format!("back after it was {round}")))?;
        ensure!(answer.status() == Some(202), "{answer}");
    }
    Ok(())
}

fn each_process_may_be_restarted_alone(bench: &Bench, server: Server) -> Result<()> {
    let mut scene = Scene::open(bench, server)?;
    scene.expect_crossing("at first")?;
    let (component, b2bua) = (scene.tandem.component.mark()?, scene.tandem.b2bua.mark()?);
    scene.tandem.crash_b2bua()?;
    scene
        .tandem
        .component
        .wait_log_since(component, "the SIP side is there")?;
    scene
        .tandem
        .b2bua
        .wait_log_since(b2bua, "the XMPP side is there")?;
    scene.expect_crossing("after the b2bua")?;

    let (component, b2bua) = (scene.tandem.component.mark()?, scene.tandem.b2bua.mark()?);
    scene.tandem.crash_component()?;
    scene
        .tandem
        .component
        .wait_log_since(component, "the SIP side is there")?;
    scene
        .tandem
        .b2bua
        .wait_log_since(b2bua, "the XMPP side is there")?;
    scene.tandem.wait_reachable(&scene.alice)?;
    scene.expect_crossing("after the component")?;
    scene.tandem.terminate()
}

/// M24: without the component, SIP peers are told to wait.
#[test]
fn without_the_component_sip_is_told_to_wait() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = Scene::open(bench, Server::chosen()?)?;
        let mark = scene.tandem.b2bua.mark()?;
        scene.tandem.component.terminate()?;
        scene
            .tandem
            .b2bua
            .wait_log_since(mark, "the XMPP side is gone")?;
        let answer = scene.ask(&scene.draft("nobody there"))?;
        ensure!(
            answer.status() == Some(480) && answer.header("Retry-After").parse::<u32>().is_ok(),
            "{answer}"
        );
        Ok(())
    })
}

/// M24: a server that does not answer is no reason to keep SIP peers waiting for ever, nor for a 503.
#[test]
fn a_server_that_hangs_is_not_confirmed() -> Result<()> {
    with_tandem(|bench| {
        let mut plan = Plan::usual(Server::chosen()?);
        plan.tandem.b2bua_extra = "[message]\nconfirm_for = 2\n";
        let mut scene = plan.open(bench)?;
        scene.running.process.kill(Signal::SIGSTOP)?;
        let answer = scene.ask(&scene.draft("into the silence"))?;
        ensure!(
            answer.status() == Some(480) && answer.header("Retry-After").parse::<u32>().is_ok(),
            "{answer}"
        );
        scene.running.process.kill(Signal::SIGCONT)?;
        scene.tandem.wait_reachable(&scene.alice)?;
        scene.expect_crossing("after the silence")
    })
}

/// M24: what waits for the server is bounded, and who is beyond the bound is told at once to wait.
#[test]
fn a_full_waiting_room_refuses() -> Result<()> {
    with_tandem(|bench| {
        let mut plan = Plan::usual(Server::chosen()?);
        // One trunk has half of the room.
        plan.tandem.b2bua_extra = "[message]\npending_max = 4\n";
        let mut scene = plan.open(bench)?;
        scene.running.process.kill(Signal::SIGSTOP)?;
        for text in ["first", "second"] {
            scene.tell(&scene.draft(text))?;
        }
        let answer = scene.ask(&scene.draft("third"))?;
        ensure!(
            answer.status() == Some(480) && answer.header("Retry-After").parse::<u32>().is_ok(),
            "{answer}"
        );
        // Those before wait for the server, which gets them when it goes on.
        scene.trunk.expect_none("answer", |message| {
            message.status().is_some_and(|status| status >= 200)
        })?;
        scene.running.process.kill(Signal::SIGCONT)?;
        for text in ["first", "second"] {
            scene.trunk.expect_status(202)?;
            scene.alice.expect_body(text)?;
        }
        scene
            .alice
            .expect_none("message", |stanza| stanza.body() == Some("third"))
    })
}

/// What a user writes while the SIP side is away arrives when it is back.
#[test]
fn messages_wait_for_the_sip_side() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = Scene::open(bench, Server::chosen()?)?;
        let mark = scene.tandem.component.mark()?;
        scene.tandem.b2bua.terminate()?;
        scene
            .tandem
            .component
            .wait_log_since(mark, "the SIP side is gone")?;
        scene
            .alice
            .send_chat(&scene.contact(r"bob\40phones.test"), "m1", "patience")?;
        scene.alice.settle()?;
        scene.tandem.b2bua.start_again()?;
        scene.trunk.expect_body("patience")?.reply(200, "OK")?;
        scene
            .alice
            .expect_none("error", |stanza| stanza.kind() == "error")
    })
}
