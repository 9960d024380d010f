//! The processes, the server and their links come and go in any order (checklist rows U01, M24).

use std::process::Command;

use anyhow::{Context, Result, ensure};
use integration_tests::process::{Process, Signal};
use integration_tests::scene::{Plan, TRUNK};
use integration_tests::server::{self, Conflict};
use integration_tests::sip::Agent;
use integration_tests::tandem::{Tandem, with_tandem};
use integration_tests::xmpp::Xmpp;
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
        expect_crossing(&scene, round)?;
        // A refused message may be sent again, and is then delivered.
        let answer = scene.ask(&scene.draft(&format!("back after it was {round}")))?;
        ensure!(answer.status() == Some(202), "{answer}");
    }
    Ok(())
}

fn each_process_may_be_restarted_alone(bench: &Bench, server: Server) -> Result<()> {
    let mut scene = Scene::open(bench, server)?;
    expect_crossing(&scene, "at first")?;
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
    expect_crossing(&scene, "after the b2bua")?;

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
    expect_crossing(&scene, "after the component")?;
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
        expect_crossing(&scene, "after the silence")
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

/// Whoever starts first waits for the others.
#[test]
fn any_order_of_starting_will_do() -> Result<()> {
    with_tandem(|bench| {
        let server = Server::chosen()?;
        let plan = Plan::usual(server);
        let mut tandem = Tandem::start_unlinked(bench, &plan.tandem)?;
        tandem.component.wait_log("the SIP side is there")?;
        // Both were started; now each order of the two, with the server last.
        tandem.terminate()?;
        for component_first in [true, false] {
            let order = match component_first {
                true => [&mut tandem.component, &mut tandem.b2bua],
                false => [&mut tandem.b2bua, &mut tandem.component],
            };
            let marks = [order[0].mark()?, order[1].mark()?];
            let words = |first: bool| {
                if first == component_first {
                    "tandem-component starts"
                } else {
                    "listening"
                }
            };
            for (process, (mark, first)) in
                order.into_iter().zip([(marks[0], true), (marks[1], false)])
            {
                process.start_again()?;
                process.wait_log_since(mark, words(first))?;
            }
            let (component, b2bua) = if component_first {
                (marks[0], marks[1])
            } else {
                (marks[1], marks[0])
            };
            tandem
                .component
                .wait_log_since(component, "the SIP side is there")?;
            tandem
                .b2bua
                .wait_log_since(b2bua, "the XMPP side is there")?;
            if component_first {
                tandem.terminate()?;
            }
        }
        let running = server.start(bench, plan.server)?;
        let trunk = Agent::bind(TRUNK)?;
        let xmpp = Xmpp::start(bench)?;
        let alice = xmpp.log_in(server, "alice", "desk")?;
        tandem.wait_reachable(&alice)?;
        expect_crossing(
            &Scene {
                tandem,
                alice,
                xmpp,
                trunk,
                running,
                server,
            },
            "in the end",
        )
    })
}

/// U01: a wrong secret, or a domain the server does not know, is one clear error.
#[test]
fn a_wrong_secret_is_one_clear_error() -> Result<()> {
    with_tandem(|bench| {
        let server = Server::chosen()?;
        let wrong = server
            .component_snippet()
            .replace(server::SECRET, "another");
        let setup = server::Setup {
            component: Some(&wrong),
            ..Plan::usual(server).server
        };
        let mut running = server.start(bench, setup)?;
        let mut tandem = Tandem::start_unlinked(bench, &Plan::usual(server).tandem)?;
        let line = tandem.component.wait_log("ERROR")?;
        for word in ["xmpp.secret", "mapping.domain", "127.0.0.1:5347"] {
            ensure!(line.contains(word), "{word} is not in {line}");
        }
        // It goes on trying, quietly and slowly; nothing else suffers.
        tandem.component.wait_log("the SIP side is there")?;
        let log = tandem.component.read_log()?;
        ensure!(
            log.matches("ERROR").count() == 1 && !log.contains(server::SECRET),
            "{log}"
        );
        tandem.terminate()?;
        running.process.terminate().map(drop)
    })
}

/// U01: while somebody else holds the component's place, Tandem says so once, and takes it when it is free.
#[test]
fn a_taken_place_is_waited_for() -> Result<()> {
    with_tandem(|bench| {
        let server = Server::Prosody;
        let _running = server.start(bench, Plan::usual(server).server)?;
        let xmpp = Xmpp::start(bench)?;
        let other = xmpp.attach(server.gateway())?;
        let mut tandem = Tandem::start_unlinked(bench, &Plan::usual(server).tandem)?;
        tandem
            .component
            .wait_log("the server still holds an earlier link")?;
        other.log_out()?;
        tandem.component.wait_log("connected to the XMPP server")?;
        let log = tandem.component.read_log()?;
        ensure!(
            log.matches("still holds").count() == 1 && !log.contains("ERROR"),
            "{log}"
        );
        Ok(())
    })
}

/// U01: after a crash whose last packets were lost, the server holds a half-open link. With `kick_old`
/// Tandem gets in at once.
#[test]
fn a_half_open_link_is_replaced_where_the_server_allows_it() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = open_with(bench, Conflict::KickOld)?;
        let wall = crash_unnoticed(bench, &mut scene)?;
        let mark = scene.tandem.component.mark()?;
        scene.tandem.component.start_again()?;
        scene
            .tandem
            .component
            .wait_log_since(mark, "connected to the XMPP server")?;
        scene.tandem.wait_reachable(&scene.alice)?;
        expect_crossing(&scene, "over the new link")?;
        ensure!(
            !scene.tandem.component.read_log()?.contains("still holds"),
            "it was let in at once"
        );
        drop(wall);
        Ok(())
    })
}

/// U01: with Prosody's default, Tandem tries until the server has noticed, and says so once.
#[test]
fn a_half_open_link_is_outlived_where_the_server_keeps_it() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = open_with(bench, Conflict::KickNew)?;
        let wall = crash_unnoticed(bench, &mut scene)?;
        let mark = scene.tandem.component.mark()?;
        scene.tandem.component.start_again()?;
        scene
            .tandem
            .component
            .wait_log_since(mark, "the server still holds an earlier link")?;
        // The network heals, and the server hears that nobody is there any more.
        drop(wall);
        scene.alice.send("<presence to='sip.localhost'/>")?;
        scene
            .tandem
            .component
            .wait_log_since(mark, "connected to the XMPP server")?;
        scene.tandem.wait_reachable(&scene.alice)?;
        expect_crossing(&scene, "at last")
    })
}

fn open_with(bench: &Bench, conflict: Conflict) -> Result<Scene> {
    let mut plan = Plan::usual(Server::Prosody);
    plan.server.conflict = conflict;
    plan.open(bench)
}

/// kill -9 of the component behind a wall that keeps the news from the server.
fn crash_unnoticed(bench: &Bench, scene: &mut Scene) -> Result<Wall> {
    let wall = Wall::raise(bench, own_port()?)?;
    scene.tandem.component.kill_now()?;
    Ok(wall)
}

/// The port the component speaks to the server from.
fn own_port() -> Result<u16> {
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let line = table
        .lines()
        .find(|line| line.contains(" 0100007F:14E3 01 "))
        .context("no stream to the server")?;
    let local = line
        .split_whitespace()
        .nth(1)
        .and_then(|local| local.rsplit(':').next())
        .unwrap_or_default();
    Ok(u16::from_str_radix(local, 16)?)
}

/// Packets from and to a port of this host vanish while it stands.
struct Wall {
    port: u16,
}

impl Wall {
    fn raise(_bench: &Bench, port: u16) -> Result<Self> {
        let wall = Self { port };
        wall.change("-A")?;
        Ok(wall)
    }

    fn change(&self, change: &str) -> Result<()> {
        for side in ["--sport", "--dport"] {
            let port = self.port.to_string();
            let arguments = [
                change, "INPUT", "-i", "lo", "-p", "tcp", side, &port, "-j", "DROP",
            ];
            let status = Command::new("iptables")
                .args(arguments)
                .status()
                .context("iptables is missing: run `.ci/deps test`")?;
            ensure!(status.success(), "iptables {arguments:?}");
        }
        Ok(())
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        // The namespace goes with the test anyway.
        let _ = self.change("-D");
    }
}

/// SIGTERM ends both in order; a second one ends at once what still waits.
#[test]
fn sigterm_ends_in_order_and_again_at_once() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = Scene::open(bench, Server::chosen()?)?;
        expect_crossing(&scene, "before the end")?;
        // A message is on its way to a server that hangs: the component would rather wait.
        scene.running.process.kill(Signal::SIGSTOP)?;
        scene.tell(&scene.draft("unconfirmed"))?;
        for process in [&mut scene.tandem.component, &mut scene.tandem.b2bua] {
            expect_end(process)?;
        }
        // Who waited for an answer was told to try later.
        scene.trunk.expect_status(480)?;
        let log = scene.tandem.component.read_log()?;
        ensure!(log.contains("told to end"), "{log}");
        scene.running.process.kill(Signal::SIGCONT)
    })
}

fn expect_end(process: &mut Process) -> Result<()> {
    process.kill(Signal::SIGTERM)?;
    process.wait_log("told to end")?;
    process.kill(Signal::SIGTERM)?;
    let status = process.wait_exit(integration_tests::wait::GENEROUS)?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// A message crosses in each direction.
fn expect_crossing(scene: &Scene, word: &str) -> Result<()> {
    let (out, back) = (format!("out {word}"), format!("in {word}"));
    scene.carry(r"bob\40phones.test", &out, &out)?;
    let answer = scene.ask(&scene.draft(&back))?;
    ensure!(answer.status() == Some(202), "{answer}");
    scene.alice.expect_body(&back).map(drop)
}
