//! N03: a provider with two servers, found by NAPTR and SRV; one of them dies.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::Bench;
use integration_tests::kamailio::Algorithm;
use integration_tests::names::Names;
use integration_tests::process::Signal;
use integration_tests::provider::{Provider, Setup};
use integration_tests::server::password_of;
use integration_tests::sip::Agent;
use integration_tests::tandem::{Trunk, with_tandem_within};
use integration_tests::wait;

use crate::scene::{LIMIT, Scene, provider};

/// Two nodes, of which the first is to be preferred.
fn nodes(bench: &Bench) -> Result<(Provider, Provider)> {
    nodes_with(
        bench,
        Setup {
            challenges: false,
            ..Setup::default()
        },
    )
}

fn nodes_with(bench: &Bench, setup: Setup<'_>) -> Result<(Provider, Provider)> {
    let first = Setup {
        name: "node1",
        ..setup
    };
    let second = Setup {
        name: "node2",
        address: "127.0.0.12",
        ..first
    };
    Ok((
        Provider::start(bench, first)?,
        Provider::start(bench, second)?,
    ))
}

/// What its name servers say where it is to be reached over `transport`.
fn zone(service: &str, naptr: &str) -> String {
    format!(
        "naptr-record=provider.test,10,10,S,{naptr},,{service}.provider.test\n\
         srv-host={service}.provider.test,node1.provider.test,5060,10,50\n\
         srv-host={service}.provider.test,node2.provider.test,5060,20,50\n\
         host-record=node1.provider.test,127.0.0.11\nhost-record=node2.provider.test,127.0.0.12\n"
    )
}

#[test]
fn a_call_goes_by_the_server_that_lives_and_calls_in_progress_go_on() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, &zone("_sip._udp", "SIP+D2U"))?;
        let (mut first, second) = nodes(bench)?;
        let scene = Scene::open(bench, vec![provider()], "")?;
        let held = scene.call_out("+15559001")?;
        ensure!(first.lines("provider-request")?.len() == 1);
        ensure!(second.lines("provider-request")?.is_empty());

        first.process.stop()?;
        let call = scene.call_out("+15559002")?;
        ensure!(second.lines("provider-request")?.len() == 1);
        scene.hang_up(call)?;
        // Who did not answer comes last for a while.
        scene.write("+15559003", "by the second")?;
        ensure!(second.lines("provider-request")?.len() == 2);
        scene.both_hear(&held)?;
        // The call that began by the first is ended by it, as soon as it is back.
        first.start_again()?;
        scene.alice.end(&held.sid, "success")?;
        let bye = held.dialog.wait_hung_up()?;
        let way = bye.headers("Via").concat();
        ensure!(way.contains("127.0.0.11"), "{bye}");
        scene.close(&[])
    })
}

/// A server that is there and says nothing is left after 3 s for the next one. When it wakes up, what it still
/// has of the call is taken back.
#[test]
fn a_call_goes_by_the_next_server_when_the_first_is_silent() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, &zone("_sip._udp", "SIP+D2U"))?;
        let (mut first, second) = nodes(bench)?;
        let scene = Scene::open(bench, vec![provider()], "")?;
        first.process.kill(Signal::SIGSTOP)?;
        let to = format!("{}/sip", scene.contact("+15559001"));
        let sid = scene.alice.call(&to)?;
        // Well before its transaction would end by itself, after 32 s.
        wait::until("the call at the second", TIMER_B / 2, || {
            let came = second.lines("provider-request method=INVITE")?;
            Ok((came.len() == 1).then_some(()))
        })?;
        let call = scene.take_call(sid)?;
        // It comes last now, and nobody waits for it.
        scene.write("+15559003", "by the second")?;
        ensure!(second.lines("provider-request method=MESSAGE")?.len() == 1);

        first.process.kill(Signal::SIGCONT)?;
        let line = first.process.wait_log("provider-request method=INVITE")?;
        ensure!(line.contains("uri=sip:+15559001@"), "{line}");
        first
            .process
            .wait_log("provider-cancel uri=sip:+15559001@")?;
        ensure!(first.lines("provider-request method=MESSAGE")?.is_empty());
        scene.both_hear(&call)?;
        scene.hang_up(call)?;
        scene.close(&[])
    })
}

#[test]
fn a_message_goes_by_the_server_that_lives() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, &zone("_sip._tcp", "SIP+D2T"))?;
        let (mut first, mut second) = nodes(bench)?;
        let scene = Scene::open(bench, vec![provider()], "")?;
        scene.write("+15559001", "by the first")?;
        ensure!(first.lines("source=tcp:")?.len() == 1);
        first.process.stop()?;
        scene.write("+15559001", "by the second")?;
        ensure!(second.lines("source=tcp:")?.len() == 1);
        // Both are gone: it waits, and arrives when one is back.
        second.process.stop()?;
        scene.say("+15559001", "by whoever comes back")?;
        first.start_again()?;
        let request = scene.network.expect_body("by whoever comes back")?;
        request.reply(200, "OK")?;
        scene.close(&[])
    })
}

/// M08: servers that ask for a password, each with nonces of its own.
#[test]
fn a_message_shows_its_password_to_the_server_that_lives() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, &zone("_sip._tcp", "SIP+D2T"))?;
        let setup = Setup {
            algorithm: Algorithm::Sha256,
            ..Setup::default()
        };
        let (mut first, second) = nodes_with(bench, setup)?;
        let password = password_of("tandem");
        let trunk = Trunk {
            credentials: Some(("tandem", &password)),
            ..provider()
        };
        let scene = Scene::open(bench, vec![trunk], "")?;
        let asked = |node: &Provider, method: &str| -> Result<usize> {
            let lines = node.lines(&format!("provider-challenged method={method}"))?;
            Ok(lines.len())
        };
        scene.write("+15559001", "by the first")?;
        ensure!(asked(&first, "MESSAGE")? == 1);
        first.process.stop()?;
        scene.write("+15559001", "by the second")?;
        ensure!(asked(&second, "MESSAGE")? == 1);
        // What it has told is known to the next.
        scene.write("+15559001", "again")?;
        ensure!(asked(&second, "MESSAGE")? == 1);
        let call = scene.call_out("+15559002")?;
        ensure!(asked(&second, "INVITE")? == 1);
        scene.hang_up(call)?;
        scene.close(&[&password])
    })
}

#[test]
fn without_a_service_the_domain_is_the_host() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "host-record=provider.test,127.0.0.11\n")?;
        let (first, _second) = nodes(bench)?;
        let scene = Scene::open(bench, vec![provider()], "")?;
        scene.write("+15559001", "to the host")?;
        ensure!(first.lines("source=udp:")?.len() == 1);
        scene.close(&[])
    })
}

/// Two providers: the second is for when the first has no room.
#[test]
fn the_second_provider_takes_what_the_first_cannot() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let first = Agent::bind("127.0.0.21:5060")?;
        let _names = Names::start(bench, "")?;
        let to = |name, next_hop, extra| Trunk {
            name,
            next_hop,
            extra,
            ..provider()
        };
        let trunks = vec![
            to("spare", "127.0.0.1:5090", "priority = 20"),
            to("usual", "127.0.0.21:5060", "priority = 10"),
        ];
        let scene = Scene::open(bench, trunks, "")?;
        scene.say("+15559001", "one")?;
        first
            .expect_body("one")?
            .reply_with(503, "No Room", &[("Retry-After", "2")])?;
        let request = scene.network.expect_body("one")?;
        request.reply(200, "OK")?;

        let sid = scene
            .alice
            .call(&format!("{}/sip", scene.contact("+15559002")))?;
        first.wait_called()?.refuse(500, &[])?;
        let called = scene.network.wait_called()?;
        called.refuse(486, &[])?;
        let reason = scene.alice.wait_ended(&sid)?;
        ensure!(reason == "busy", "{reason}");
        scene.close(&[])
    })
}

/// After which the transaction of an INVITE ends that nobody answers (RFC 3261 §17.1.1.2).
const TIMER_B: Duration = Duration::from_secs(32);
