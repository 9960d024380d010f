//! Starting in any order and ending in order.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use integration_tests::process::{Process, Signal};
use integration_tests::scene::{Plan, TRUNK};
use integration_tests::sip::Agent;
use integration_tests::tandem::{Tandem, with_tandem};
use integration_tests::xmpp::Xmpp;
use integration_tests::{Scene, Server};

/// Whoever starts first waits for the others.
#[test]
fn any_order_of_starting_will_do() -> Result<()> {
    with_tandem(|bench| {
        let server = Server::chosen()?;
        let plan = Plan::usual(server);
        let mut tandem = Tandem::start_unlinked(bench, &plan.tandem)?;
        tandem.component.wait_log("the SIP side is there")?;
        // Both orders of the two, and the server last of all.
        for component_first in [true, false] {
            tandem.terminate()?;
            let (component, b2bua) = (tandem.component.mark()?, tandem.b2bua.mark()?);
            if component_first {
                tandem.component.start_again()?;
                tandem
                    .component
                    .wait_log_since(component, "tandem-component starts")?;
                tandem.b2bua.start_again()?;
            } else {
                tandem.b2bua.start_again()?;
                tandem.b2bua.wait_log_since(b2bua, "listening")?;
                tandem.component.start_again()?;
            }
            tandem
                .component
                .wait_log_since(component, "the SIP side is there")?;
            tandem
                .b2bua
                .wait_log_since(b2bua, "the XMPP side is there")?;
        }
        let running = server.start(bench, plan.server)?;
        let trunk = Agent::bind(TRUNK)?;
        let xmpp = Xmpp::start(bench)?;
        let alice = xmpp.log_in(server, "alice", "desk")?;
        tandem.wait_reachable(&alice)?;
        let scene = Scene {
            tandem,
            alice,
            xmpp,
            trunk,
            running,
            server,
        };
        scene.expect_crossing("in the end")
    })
}

/// The bus and the stores are nobody else's business.
#[test]
fn what_lies_on_disk_is_for_its_owner_alone() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        scene.expect_crossing("to be stored")?;
        for name in ["bus.sock", "component.sqlite", "b2bua.sqlite"] {
            let mode = fs::metadata(bench.path(name))?.permissions().mode() & 0o777;
            ensure!(mode & 0o077 == 0, "{name} has the mode {mode:o}");
        }
        Ok(())
    })
}

/// Who ends in order leaves nothing behind in the stream: what it was handed it carries later, and
/// the server refuses the rest.
#[test]
fn an_orderly_end_loses_no_message() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = Scene::open(bench, Server::chosen()?)?;
        let contact = scene.contact(r"bob\40phones.test");
        let texts: Vec<String> = (0..80).map(|number| format!("n{number}")).collect();
        for text in &texts {
            scene.alice.send_chat(&contact, text, text)?;
        }
        scene.tandem.component.terminate()?;
        scene.tandem.component.start_again()?;
        scene.tandem.wait_reachable(&scene.alice)?;
        scene.alice.send_chat(&contact, "last", "last")?;
        let mut arrived = Vec::new();
        loop {
            let request = scene.trunk.expect_request("MESSAGE")?;
            request.reply(200, "OK")?;
            match request.message.text() {
                text if text == "last" => break,
                text => arrived.push(text),
            }
        }
        let refused = texts.iter().filter(|text| !arrived.contains(text));
        for text in refused {
            scene.alice.expect_error(text)?;
        }
        scene.alice.expect_none("error", |stanza| {
            stanza.kind() == "error" && arrived.contains(&stanza.id().to_owned())
        })
    })
}

/// Who is told to end while it still starts ends in order, too.
#[test]
fn sigterm_is_heard_from_the_first_word_on() -> Result<()> {
    with_tandem(|bench| {
        let mut tandem = Tandem::start_unlinked(bench, &Plan::usual(Server::chosen()?).tandem)?;
        for (process, word) in [
            (&mut tandem.component, "tandem-component starts"),
            (&mut tandem.b2bua, "listening"),
        ] {
            process.wait_log(word)?;
            let status = process.terminate()?;
            ensure!(status.success(), "{word}: {status}");
        }
        Ok(())
    })
}

/// SIGTERM ends both in order; a second one ends at once what still waits.
#[test]
fn sigterm_ends_in_order_and_again_at_once() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = Scene::open(bench, Server::chosen()?)?;
        scene.expect_crossing("before the end")?;
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
