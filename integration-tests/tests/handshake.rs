//! The component's place at the server: the proof of its secret, and somebody else in it (checklist row U01).

use std::process::Command;

use anyhow::{Context, Result, ensure};
use integration_tests::scene::Plan;
use integration_tests::server::{self, Conflict};
use integration_tests::tandem::{Tandem, with_tandem};
use integration_tests::xmpp::Xmpp;
use integration_tests::{Bench, Scene, Server};

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
        running.process.stop()
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
        scene.expect_crossing("over the new link")?;
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
        scene.expect_crossing("at last")
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
