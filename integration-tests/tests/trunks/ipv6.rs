//! A provider whose servers have IPv6 addresses only: registered at, and called both ways.

use anyhow::{Context, Result, ensure};
use integration_tests::audio::Law;
use integration_tests::names::Names;
use integration_tests::net;
use integration_tests::provider::{Provider, Setup};
use integration_tests::rtp::{Peer, Stream, media_address};
use integration_tests::server::password_of;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{Call, LIMIT, Scene, TONE, account};

#[test]
fn an_account_at_a_provider_with_ipv6() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        net::add_ipv6()?;
        let _names = Names::start(bench, &format!("host-record=provider.test,{HOST}\n"))?;
        let mut node = Provider::start(bench, Setup::default())?;
        let password = password_of("tandem");
        let trunk = account("tcp", &password, "register = true\nkeepalive = 5");
        let listeners = [("udp", GATEWAY), ("tcp", GATEWAY)];
        let scene = Scene::open_at(bench, vec![trunk], "", &listeners)?;
        let line = node.wait_registered("tandem")?;
        ensure!(line.contains(&format!("source=tcp:{HOST}:")), "{line}");
        ensure!(line.contains(&format!("@[{HOST}]")), "{line}");
        scene.tandem.borrow_mut().b2bua.wait_log("registered")?;
        scene.write("+15559001", "out")?;
        scene.write_in(&node, "in")?;
        let call = call_out(&scene, "+15559002")?;
        scene.hang_up(call)?;
        scene.close(&[])
    })
}

/// As [`Scene::call_out`], with sound over IPv6.
fn call_out<'a>(scene: &'a Scene, number: &str) -> Result<Call<'a>> {
    let sid = scene
        .alice
        .call(&format!("{}/sip", scene.contact(number)))?;
    let called = scene.network.wait_called()?;
    let to = media_address(&called.offer()).context("no media address")?;
    ensure!(to.is_ipv6(), "offered {to} to a trunk with IPv6");
    let sound = Peer::bind(&format!("[{HOST}]:0"))?;
    let dialog = called.accept(&[], &sound.describe(Law::A, "sendrecv")?)?;
    sound.send(Stream::tone(to, Law::A, TONE));
    scene.alice.wait_accepted(&sid)?;
    let call = Call { sid, dialog, sound };
    scene.both_hear(&call)?;
    Ok(call)
}

const HOST: &str = net::ADDRESS_6;
const GATEWAY: &str = "[fd77::1]:5070";
