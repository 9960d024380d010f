//! The bench proves itself for calls: each peer calls another and hears it, all without Tandem.

use anyhow::{Result, ensure};
use integration_tests::aiortc::{Aiortc, Faults};
use integration_tests::audio::Law;
use integration_tests::baresip::{Answer, Baresip, Codec, Encryption, Setup, Transport};
use integration_tests::chromium::Chromium;
use integration_tests::coturn::Coturn;
use integration_tests::jingle::{Client, Setup as JingleSetup};
use integration_tests::kamailio::{Kamailio, Setup as KamailioSetup};
use integration_tests::linphone::Caller;
use integration_tests::loss::Loss;
use integration_tests::rtp::{self, Peer, Stream};
use integration_tests::server::{Running, Setup as ServerSetup};
use integration_tests::sip_trace::Direction;
use integration_tests::sipp::{self, Scenario, Sipp};
use integration_tests::xmpp::{Stanza, Xmpp};
use integration_tests::{Bench, Server, isolated, kamailio, wait};

#[test]
fn phones_hear_each_other_through_the_registrar() -> Result<()> {
    isolated(|bench| {
        let _registrar = Kamailio::start(bench, KamailioSetup::default())?;
        let (mut carol, mut dave) = start_phones(bench, Setup::default())?;

        carol.dial("sip:dave@sip.test")?;
        ensure!(dave.wait_incoming()? == "sip:carol@sip.test");
        carol.wait_ringing()?;
        dave.accept()?;
        carol.wait_established()?;
        dave.wait_established()?;
        carol.wait_tone(880)?.expect_level(TONE_OF_A_PHONE)?;
        dave.wait_tone(440)?.expect_level(TONE_OF_A_PHONE)?;

        carol.press("12#")?;
        dave.wait_keys("12#")?;

        carol.hold()?;
        dave.wait_event("CALL_REMOTE_SDP")?;
        carol.resume()?;
        dave.wait_tone(440)?;
        carol.wait_tone(880)?;

        carol.hang_up()?;
        dave.wait_closed().map(drop)
    })
}

#[test]
fn phones_hear_each_other_in_every_way_to_carry_a_call() -> Result<()> {
    let usual = Setup {
        answer: Answer::Auto,
        ..Setup::default()
    };
    let ways = [
        (
            "wideband over TCP",
            Setup {
                codecs: &[Codec::Opus],
                transport: Transport::Tcp,
                ..usual
            },
        ),
        (
            "keys in SDP over TLS",
            Setup {
                codecs: &[Codec::G722],
                transport: Transport::Tls,
                encryption: Encryption::Mandatory,
                ..usual
            },
        ),
        (
            "DTLS and ICE",
            Setup {
                codecs: &[Codec::Pcmu],
                encryption: Encryption::Dtls,
                ice: true,
                ..usual
            },
        ),
    ];
    isolated(|bench| {
        let _registrar = Kamailio::start(bench, KamailioSetup::default())?;
        for (way, setup) in ways {
            let (mut carol, mut dave) = start_phones(bench, setup)?;
            carol.dial("sip:dave@sip.test")?;
            carol.wait_established()?;
            carol.wait_tone(880).map_err(|error| error.context(way))?;
            dave.wait_tone(440).map_err(|error| error.context(way))?;
        }
        Ok(())
    })
}

#[test]
fn a_phone_refuses_and_one_describes_its_media_early() -> Result<()> {
    isolated(|bench| {
        let _registrar = Kamailio::start(bench, KamailioSetup::default())?;
        let (mut carol, mut dave) = start_phones(bench, Setup::default())?;
        carol.dial("sip:dave@sip.test")?;
        dave.wait_incoming()?;
        dave.hang_up()?;
        let reason = carol.wait_closed()?;
        ensure!(reason.starts_with("486"), "closed with {reason}");
        drop(dave);

        let early = Setup {
            index: 1,
            user: "dave",
            answer: Answer::Early,
            ..Setup::default()
        };
        let mut dave = Baresip::start_with(bench, early)?;
        carol.dial("sip:dave@sip.test")?;
        carol.wait_progress()?;
        dave.accept()?;
        carol.wait_established()?;
        dave.wait_tone(440).map(drop)
    })
}

#[test]
fn a_scenario_plays_to_a_phone_and_holds_it_in_every_dialect() -> Result<()> {
    isolated(|bench| {
        let _registrar = Kamailio::start(bench, KamailioSetup::default())?;
        let mut dave = Baresip::start_with(
            bench,
            Setup {
                user: "dave",
                answer: Answer::Auto,
                ..Setup::default()
            },
        )?;
        let ear = Peer::bind("127.0.0.1:0")?;
        let tone = Sipp::write_tone(bench, Law::A, 1_000)?;
        // sipp sends from its own socket, but what comes back is recorded beside it.
        let describe = |direction: &str| ear.describe(Law::A, direction);
        let nowhere = describe("sendrecv")?.replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0");
        let mut call = Scenario::calling(
            "sip:tester@tester.test",
            "sip:dave@sip.test",
            &[],
            Some(&describe("sendrecv")?),
        )
        .expect_status(200)
        .ack(None)
        .play(&tone, 8)
        .pause(1_500);
        for offer in [
            describe("sendonly")?,
            describe("inactive")?,
            nowhere,
            describe("sendrecv")?,
        ] {
            call = call
                .request("INVITE", &[], Some(&offer))
                .expect_status(200)
                .ack(None);
        }
        let call = call.pause(500).request("BYE", &[], None).expect_status(200);
        let setup = sipp::Setup {
            target: Some(kamailio::ADDRESS),
            ..sipp::Setup::default()
        };
        let mut scenario = Sipp::start(bench, "caller", &call.to_xml(), setup)?;
        dave.wait_established()?;
        dave.wait_tone(1_000)?;
        ear.wait_tone(440)?;
        scenario.finish()?;
        let answers = scenario.trace()?.into_iter().filter_map(|(way, message)| {
            let answer = way == Direction::Received && message.status() == Some(200);
            (answer && message.header("CSeq").ends_with("INVITE")).then(|| message.text())
        });
        let directions: Vec<String> = answers
            .filter_map(|text| {
                text.lines()
                    .rev()
                    .find(|line| DIRECTIONS.contains(line))
                    .map(str::to_owned)
            })
            .collect();
        ensure!(
            directions
                == [
                    "a=sendrecv",
                    "a=recvonly",
                    "a=inactive",
                    "a=sendrecv",
                    "a=sendrecv"
                ],
            "{directions:?}"
        );
        Ok(())
    })
}

#[test]
fn scenarios_speak_of_forks_reliability_and_late_offers() -> Result<()> {
    isolated(|bench| {
        let ear = Peer::bind("127.0.0.1:0")?;
        let mouth = Peer::bind("127.0.0.1:0")?;
        let offer = ear.describe(Law::Mu, "sendrecv")?;
        let answer = mouth.describe(Law::Mu, "sendrecv")?;
        // A fork: one branch rings, the other sends media reliably and answers.
        let answering = Scenario::answering()
            .reply("180 Ringing", &[], None)
            .as_branch("b")
            .reply(
                "183 Session Progress",
                &["Require: 100rel", "RSeq: 1"],
                Some(&answer),
            )
            .expect("PRACK")
            .reply_to_last("200 OK", &[], None)
            .reply("200 OK", &[], None)
            .expect("ACK")
            .expect("BYE")
            .reply_to_last("200 OK", &[], None);
        let calling = Scenario::calling(
            "sip:a@a.test",
            "sip:b@127.0.0.1:5091",
            &["Supported: 100rel"],
            Some(&offer),
        )
        .expect_status(183)
        .prack()
        .expect_status(200)
        .ack(None)
        .request("BYE", &["Reason: Q.850;cause=16"], None)
        .expect_status(200);
        let caller = run_pair(bench, "fork", &calling, &answering)?;
        let described = received(&caller, 183)?;
        ensure!(rtp::media_address(&described) == Some(mouth.address()?));
        mouth.send(Stream::tone(
            rtp::media_address(&offer).expect("an address"),
            Law::Mu,
            600,
        ));
        ear.wait_tone(600)?;

        // No offer in the INVITE: the other offers, and the ACK answers.
        let answering = Scenario::answering()
            .reply("200 OK", &[], Some(&answer))
            .expect("ACK")
            .expect("BYE")
            .reply_to_last("200 OK", &[], None);
        let calling = Scenario::calling("sip:a@a.test", "sip:b@127.0.0.1:5091", &[], None)
            .expect_status(200)
            .ack(Some(&offer))
            .request("BYE", &[], None)
            .expect_status(200);
        run_pair(bench, "late", &calling, &answering)?;

        // Too short a session, and a call that is taken elsewhere.
        let answering = Scenario::answering()
            .reply("422 Session Interval Too Small", &["Min-SE: 1800"], None)
            .expect("ACK");
        let calling = Scenario::calling(
            "sip:a@a.test",
            "sip:b@127.0.0.1:5091",
            &["Session-Expires: 90"],
            None,
        )
        .expect_status(422)
        .ack(None);
        run_pair(bench, "interval", &calling, &answering)?;
        let answering = Scenario::answering()
            .reply("180 Ringing", &[], None)
            .expect("CANCEL")
            .reply_to_last("200 OK", &[], None)
            .reply("487 Request Terminated", &[], None)
            .expect("ACK");
        let calling = Scenario::calling("sip:a@a.test", "sip:b@127.0.0.1:5091", &[], Some(&offer))
            .expect_status(180)
            .cancel(
                "sip:b@127.0.0.1:5091",
                &["Reason: SIP;cause=200;text=\"Call completed elsewhere\""],
            );
        run_pair(bench, "cancel", &calling, &answering).map(drop)
    })
}

/// Lets one scenario call the other, and returns the caller once both are done.
fn run_pair(bench: &Bench, name: &str, calling: &Scenario, answering: &Scenario) -> Result<Sipp> {
    let there = sipp::Setup {
        port: 5091,
        ..sipp::Setup::default()
    };
    let mut answerer = Sipp::start(
        bench,
        &format!("{name}-answers"),
        &answering.to_xml(),
        there,
    )?;
    let here = sipp::Setup {
        port: 5090,
        target: Some("127.0.0.1:5091"),
        ..sipp::Setup::default()
    };
    let caller = Sipp::run(bench, &format!("{name}-calls"), &calling.to_xml(), here)?;
    answerer.finish()?;
    Ok(caller)
}

/// The body of the first response with this status that came.
fn received(scenario: &Sipp, status: u16) -> Result<String> {
    let trace = scenario.trace()?;
    let found = trace
        .iter()
        .find(|(_, message)| message.status() == Some(status));
    Ok(found.map(|(_, message)| message.text()).unwrap_or_default())
}

const DIRECTIONS: [&str; 4] = ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"];

/// Carol with 440 Hz and dave with 880 Hz.
fn start_phones(bench: &Bench, setup: Setup<'_>) -> Result<(Baresip, Baresip)> {
    let carol = Baresip::start_with(
        bench,
        Setup {
            answer: Answer::Manual,
            ..setup
        },
    )?;
    let dave = Baresip::start_with(
        bench,
        Setup {
            index: 1,
            user: "dave",
            tone: Some(880),
            ..setup
        },
    )?;
    Ok((carol, dave))
}

/// What baresip's sine is as loud as.
const TONE_OF_A_PHONE: f64 = -6.0;

#[test]
fn a_tone_survives_lost_packets() -> Result<()> {
    isolated(|bench| {
        let _registrar = Kamailio::start(bench, KamailioSetup::default())?;
        let auto = Setup {
            answer: Answer::Auto,
            ..Setup::default()
        };
        let (mut carol, mut dave) = start_phones(bench, auto)?;
        let loss = Loss::every(20, 10_000..=10_999)?;
        carol.dial("sip:dave@sip.test")?;
        carol.wait_established()?;
        carol.wait_tone(880)?;
        dave.wait_tone(440)?;
        ensure!(loss.dropped()? > 0);
        Ok(())
    })
}

#[test]
fn another_kind_of_phone_calls_and_is_called() -> Result<()> {
    isolated(|bench| {
        let users = KamailioSetup {
            users: &["carol", "erin"],
            ..KamailioSetup::default()
        };
        let _registrar = Kamailio::start(bench, users)?;
        let mut erin = Caller::start(bench, "erin", 660)?;
        let mut carol = Baresip::start_with(bench, Setup::default())?;

        erin.dial("sip:carol@sip.test")?;
        carol.wait_incoming()?;
        carol.accept()?;
        carol.wait_tone(660)?;
        erin.wait_tone(440)?;
        carol.hang_up()?;
        carol.wait_closed()?;
        erin.wait_request("BYE")?;

        carol.dial("sip:erin@sip.test")?;
        carol.wait_ringing()?;
        erin.accept()?;
        carol.wait_established()?;
        carol.wait_tone(660)?;
        erin.wait_tone(440)?;
        erin.hang_up()?;
        carol.wait_closed().map(drop)
    })
}

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
