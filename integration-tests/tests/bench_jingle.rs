//! The bench proves itself for calls over XMPP: browsers and scripts call each other, all without Tandem.

use anyhow::{Result, ensure};
use integration_tests::aiortc::{Aiortc, Faults};
use integration_tests::chromium::Chromium;
use integration_tests::coturn::Coturn;
use integration_tests::jingle::{Client, Setup as JingleSetup};
use integration_tests::server::{Running, Setup as ServerSetup};
use integration_tests::xmpp::{Stanza, Xmpp};
use integration_tests::{Bench, Server, isolated, wait};

#[test]
fn browsers_hear_each_other_through_the_server() -> Result<()> {
    isolated(|bench| {
        let server = Server::chosen()?;
        let (_running, alice, bob) = start_browsers(bench, server, JingleSetup::default())?;

        let sid = alice.call(bob.jid())?;
        let incoming = bob.wait_incoming()?;
        ensure!(incoming.sid == sid && incoming.peer == alice.jid());
        bob.ring(&sid)?;
        alice.wait_ringing(&sid)?;
        bob.accept(&sid)?;
        alice.wait_connected(&sid)?;
        alice.wait_tone(&sid, 990)?;
        bob.wait_tone(&sid, 550)?;
        let stats = bob.stats(&sid)?;
        ensure!(
            stats.receives == "opus" && stats.local == "host" && !stats.protection.is_empty(),
            "{stats:?}"
        );
        ensure!(stats.received > 0 && stats.lost <= 0, "{stats:?}");

        // A browser plays the keys it receives: 5 is a pair of tones.
        alice.press(&sid, "5555")?;
        wait::until("the key 5", wait::GENEROUS, || {
            let heard = bob.listen(&sid)?;
            let levels = [770, 1_336, 1_477].map(|hertz| heard.level_at(hertz) > -45.0);
            Ok((levels == [true, true, false]).then_some(()))
        })?;

        alice.restart_ice(&sid)?;
        bob.expect("new credentials", |stanza| {
            stanza.xml.contains("transport-info") && stanza.xml.contains("pwd=")
        })?;
        alice.wait_tone(&sid, 990)?;

        alice.end(&sid, "success")?;
        ensure!(bob.wait_ended(&sid)? == "success");
        Ok(())
    })
}

#[test]
fn a_browser_proposes_a_call_in_g711_by_way_of_a_relay() -> Result<()> {
    isolated(|bench| {
        let relay = Coturn::start(bench)?;
        let server = Server::chosen()?;
        // The server tells of the relay.
        let setup = JingleSetup {
            codecs: Some(&["PCMU", "telephone-event"]),
            bosh: true,
            discover: true,
            relay_only: true,
            ..JingleSetup::default()
        };
        let (_running, alice, bob) = start_browsers(bench, server, setup)?;

        let id = alice.propose(bob.bare())?;
        let proposal = bob.wait_proposal()?;
        ensure!(proposal.id == id && proposal.from == alice.jid());
        bob.say(&proposal.from, "reject", &id, "")?;
        alice.wait_said("reject", &id)?;

        let sid = std::thread::scope(|scope| {
            let answering = scope.spawn(|| bob.take_proposal(&bob.wait_proposal()?));
            let sid = alice.call_by_proposal(bob.bare());
            answering.join().expect("no panic")?;
            sid
        })?;
        alice.wait_tone(&sid, 990)?;
        bob.wait_tone(&sid, 550)?;
        let stats = alice.stats(&sid)?;
        ensure!(
            stats.sends == "PCMU" && stats.local == "relay" && stats.remote == "relay",
            "{stats:?}"
        );
        ensure!(relay.allocations()? >= 2);

        // To a client that is told of the relay by its configuration.
        let ice_servers = [relay.ice_server()];
        let told = JingleSetup {
            user: "bob",
            resource: "script",
            tone: 770,
            ice_servers: &ice_servers,
            ..JingleSetup::default()
        };
        let script = Aiortc::start(bench)?.log_in(server, told)?;
        let sid = script.call(alice.jid())?;
        alice.wait_incoming()?;
        alice.accept(&sid)?;
        alice.wait_tone(&sid, 770)?;
        let stats = alice.stats(&sid)?;
        ensure!(
            stats.sends == "PCMU" && stats.receives == "PCMU",
            "{stats:?}"
        );
        script.wait_tone(&sid, 550)?;
        ensure!(relay.allocations()? >= 3);
        Ok(())
    })
}

#[test]
fn a_script_errs_as_it_is_told() -> Result<()> {
    isolated(|bench| {
        let server = Server::chosen()?;
        let accounts = ServerSetup {
            accounts: &["alice", "bob"],
            ..ServerSetup::default()
        };
        let _running = server.start(bench, accounts)?;
        let alice = Xmpp::start(bench)?.log_in(server, "alice", "desk")?;
        let setup = JingleSetup {
            user: "bob",
            ..JingleSetup::default()
        };
        let bob = Aiortc::start(bench)?.log_in(server, setup)?;
        let offered = || -> Result<Stanza> {
            bob.call(alice.jid())?;
            alice.expect("the offer", |stanza| stanza.child("jingle").is_some())
        };
        let offer = offered()?.xml;
        ensure!(
            offer.contains("<fingerprint") || offer.contains(":fingerprint"),
            "{offer}"
        );
        ensure!(
            offer.contains("candidate ") && offer.contains("rtcp-mux"),
            "{offer}"
        );

        bob.misbehave(Faults {
            fingerprint: Some("none"),
            codecs: 300,
            candidates: Some("none"),
            mux: false,
            acknowledge: false,
            ..Faults::default()
        })?;
        let stanza = offered()?;
        let offer = &stanza.xml;
        ensure!(offer.matches("invented-").count() == 300, "{offer}");
        for absent in ["fingerprint", "candidate ", "rtcp-mux"] {
            ensure!(!offer.contains(absent), "{absent} in {offer}");
        }
        let sid = stanza
            .child("jingle")
            .map_or("", |jingle| jingle.attribute("sid"));
        alice.send(&format!(
            "<iq to='{}' type='set' id='q1'><jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{sid}'>\
             <reason><busy/></reason></jingle></iq>",
            bob.jid()
        ))?;
        ensure!(bob.wait_ended(sid)? == "busy");
        alice.expect_none("acknowledgement", |stanza| stanza.id() == "q1")?;

        bob.misbehave(Faults {
            fingerprint: Some("wrong"),
            setup: Some("passive"),
            ..Faults::default()
        })?;
        let offer = offered()?.xml;
        ensure!(
            offer.contains("00:00:00") && offer.contains("passive"),
            "{offer}"
        );
        Ok(())
    })
}

/// Alice with 550 Hz and bob with 990 Hz.
fn start_browsers(
    bench: &Bench,
    server: Server,
    setup: JingleSetup<'_>,
) -> Result<(Running, Client, Client)> {
    let accounts = ServerSetup {
        accounts: &["alice", "bob"],
        ..ServerSetup::default()
    };
    let running = server.start(bench, accounts)?;
    let chromium = Chromium::start(bench)?;
    let alice = chromium.log_in(server, setup)?;
    let bob = chromium.log_in(
        server,
        JingleSetup {
            user: "bob",
            tone: 990,
            ..setup
        },
    )?;
    Ok((running, alice, bob))
}

#[test]
fn a_script_and_a_browser_call_each_other() -> Result<()> {
    isolated(|bench| {
        let server = Server::chosen()?;
        let (_running, browser, _) = start_browsers(bench, server, JingleSetup::default())?;
        let aiortc = Aiortc::start(bench)?;
        let setup = JingleSetup {
            user: "bob",
            resource: "script",
            tone: 770,
            ..JingleSetup::default()
        };
        let script = aiortc.log_in(server, setup)?;

        let sid = browser.call(script.jid())?;
        ensure!(script.wait_incoming()?.peer == browser.jid());
        script.ring(&sid)?;
        browser.wait_ringing(&sid)?;
        script.accept(&sid)?;
        browser.wait_tone(&sid, 770)?;
        script.wait_tone(&sid, 550)?;
        script.hold(&sid)?;
        browser.wait_event("hold", &sid)?;
        script.end(&sid, "success")?;
        ensure!(browser.wait_ended(&sid)? == "success");

        let late = Faults {
            candidates: Some("late"),
            ..Faults::default()
        };
        script.misbehave(late)?;
        let sid = script.call(browser.jid())?;
        browser.wait_incoming()?;
        browser.accept(&sid)?;
        script.wait_accepted(&sid)?;
        script.send_candidates(&sid)?;
        script.wait_tone(&sid, 550)?;
        browser.wait_tone(&sid, 770)?;
        let stats = script.stats(&sid)?;
        ensure!(stats.sends == "opus" && stats.received > 0, "{stats:?}");

        // A certificate that is not the announced one: no media, and no tone.
        let wrong = Faults {
            fingerprint: Some("wrong"),
            ..Faults::default()
        };
        script.misbehave(wrong)?;
        let sid = script.call(browser.jid())?;
        browser.wait_incoming()?;
        browser.accept(&sid)?;
        browser.wait_event("failed", &sid).map(drop)
    })
}
