//! Calls over IPv6: signalling and sound of the SIP leg, with the XMPP leg on IPv4 and on IPv6.

use anyhow::{Result, ensure};
use integration_tests::baresip::{Answer, Baresip, Setup as PhoneSetup};
use integration_tests::sip_trace::Direction;
use integration_tests::tandem::with_tandem_within;
use integration_tests::{kamailio, net};

use crate::desk::{Desk, Site};
use crate::scene::{GATEWAY_6, LIMIT, Plan, Scene, expect_tones, hang_up};

#[test]
fn a_phone_on_ipv6_and_a_client_on_ipv4_call_each_other() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        net::add_ipv6()?;
        let scene = Scene::open(bench, Plan::default())?;
        call_both_ways(&scene)?;
        scene.close()
    })
}

#[test]
fn a_phone_and_a_client_on_ipv6_call_each_other() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        net::add_ipv6()?;
        let plan = Plan {
            addresses: &[net::ADDRESS_6],
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        call_both_ways(&scene)?;
        scene.close()
    })
}

/// A real phone, through its registrar.
#[test]
fn a_registrar_and_its_phone_are_on_ipv6() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        net::add_ipv6()?;
        let mut plan = Plan {
            next_hop: kamailio::ADDRESS_6,
            ..Plan::default()
        };
        plan.registrar.gateway = GATEWAY_6;
        let scene = Scene::open(bench, plan)?;
        let setup = PhoneSetup {
            ipv6: true,
            answer: Answer::Auto,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        let alice = &scene.alice;
        let sid = scene.call(alice, &mut phone, "carol")?;
        expect_tones(alice, &sid, &mut phone)?;
        alice.hold(&sid)?;
        phone.wait_traced("the hold", Direction::Received, |message| {
            message.method() == Some("INVITE") && message.text().contains("a=sendonly")
        })?;
        alice.resume(&sid)?;
        expect_tones(alice, &sid, &mut phone)?;
        hang_up(alice, &sid, &mut phone)?;

        let sid = scene.be_called(alice, &mut phone, "alice")?;
        expect_tones(alice, &sid, &mut phone)?;
        phone.hang_up()?;
        phone.wait_closed()?;
        ensure!(alice.wait_ended(&sid)? == "success");
        let described = phone
            .trace()?
            .into_iter()
            .map(|(_, message)| message.text());
        let described: Vec<String> = described.filter(|text| text.contains("m=audio")).collect();
        ensure!(
            described.len() >= 4 && described.iter().all(|text| text.contains("c=IN IP6")),
            "{described:?}"
        );
        drop(phone);
        scene.close()
    })
}

/// A next hop by a name that stands for addresses of both families; Tandem has one of them.
#[test]
fn a_registrar_is_reached_by_its_name() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        net::set_hosts(bench, "::1 registrar.test\n127.0.0.1 registrar.test\n")?;
        let plan = Plan {
            next_hop: "registrar.test:5060",
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let setup = PhoneSetup {
            answer: Answer::Auto,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        let sid = scene.call(&scene.alice, &mut phone, "carol")?;
        expect_tones(&scene.alice, &sid, &mut phone)?;
        hang_up(&scene.alice, &sid, &mut phone)?;
        drop(phone);
        scene.close()
    })
}

fn call_both_ways(scene: &Scene) -> Result<()> {
    let (desk, alice) = (Desk::at(Site::V6)?, &scene.alice);
    let v6 =
        |text: &str| text.contains(&format!("IN IP6 {}", net::ADDRESS_6)) && !text.contains("IP4");
    let (dialog, sid) = desk.call(scene, alice, "alice", &desk.describe()?)?;
    ensure!(v6(&dialog.theirs), "{}", dialog.theirs);
    ensure!(dialog.target.contains(net::ADDRESS_6), "{}", dialog.target);
    desk.talk(&dialog)?;
    desk.expect_tones(alice, &sid)?;
    desk.hang_up(dialog, alice, &sid)?;
    scene.expect_path("relayed PCMU")?;

    let sid = alice.call(&scene.contact("desk", "v6.test"))?;
    let (dialog, invite) = desk.answer(&desk.describe()?)?;
    for name in ["Via", "Contact"] {
        let value = invite.header(name);
        ensure!(value.contains(&format!("[{}]:", net::ADDRESS_6)), "{value}");
    }
    ensure!(v6(&dialog.theirs), "{}", dialog.theirs);
    desk.talk(&dialog)?;
    desk.expect_tones(alice, &sid)?;
    alice.end(&sid, "success")?;
    desk.wait_end(&dialog)?;
    scene.expect_path("relayed PCMU")
}
