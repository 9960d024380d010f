//! Z02, Z05: whoever no trunk names hears nothing that helps, and nothing grows by it.

use std::net::UdpSocket;

use anyhow::{Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::names::Names;
use integration_tests::sip::{Agent, Draft};
use integration_tests::tandem::{Trunk, with_tandem_within};

use crate::scene::{LIMIT, Scene, provider};

fn trunk() -> Trunk<'static> {
    Trunk {
        next_hop: "127.0.0.1:5090",
        inbound: vec!["127.0.0.1"],
        ..provider()
    }
}

/// What scanners send: a thousand probes of all methods, for extensions and with other people's names.
fn scan(scanner: &Agent, gateway: &str) -> Result<()> {
    let path = scanner.udp_to(GATEWAY)?;
    for number in 0..1000 {
        let method = ["OPTIONS", "REGISTER", "INVITE", "SUBSCRIBE", "MESSAGE"][number % 5];
        let user = 100 + number;
        let draft = Draft::new(method, &format!("sip:{user}@{gateway}"))
            .with(
                "From",
                &format!("\"sipvicious\" <sip:{user}@{gateway}>;tag=t{number}"),
            )
            .with("User-Agent", "friendly-scanner");
        path.send(&draft.to_bytes(&path))?;
    }
    Ok(())
}

#[test]
fn a_scan_hears_nothing_and_nothing_grows() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = Scene::open(bench, vec![trunk()], "")?;
        let before = scene.tandem.borrow().b2bua.holdings()?;
        let scanner = Agent::bind("127.0.0.66:5060")?;
        for _ in 0..3 {
            scan(&scanner, scene.server.gateway())?;
        }
        // Whoever is known is heard meanwhile.
        scene.write("+15559001000", "all is well")?;
        scanner.expect_none("an answer", |_| true)?;
        let mut tandem = scene.tandem.borrow_mut();
        tandem
            .b2bua
            .wait_log("a stranger is banned source=127.0.0.66 requests=10")?;
        let told = tandem.b2bua.read_log()?.matches("127.0.0.66").count();
        ensure!(told == 2, "{told} lines about it");
        let after = tandem.b2bua.holdings()?;
        ensure!(after.files <= before.files, "{before:?} {after:?}");
        ensure!(
            after.memory < before.memory + 4 * 1024 * 1024,
            "{before:?} {after:?}"
        );
        Ok(())
    })
}

#[test]
fn strangers_hear_403_where_that_is_wanted() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let more = "[strangers]\nanswer = \"forbid\"\nban_after = 3\n";
        let scene = Scene::open(bench, vec![trunk()], more)?;
        let stranger = Agent::bind("127.0.0.66:5060")?;
        let path = stranger.udp_to(GATEWAY)?;
        for method in ["OPTIONS", "MESSAGE", "REGISTER"] {
            let draft = Draft::new(method, "sip:alice@127.0.0.1")
                .with("User-Agent", "a phone that says what it is, as phones do");
            let answer = stranger.ask(&draft, &path)?;
            ensure!(answer.status() == Some(403), "{answer}");
            ensure!(
                answer.raw().len() <= draft.to_bytes(&path).len(),
                "{answer}"
            );
        }
        path.send(&Draft::new("OPTIONS", "sip:alice@127.0.0.1").to_bytes(&path))?;
        stranger.expect_none("an answer after the third", |_| true)?;
        scene.close(&[])
    })
}

/// Without a next hop whoever is called would choose what in here is talked to, and which services anywhere hear SIP.
#[test]
fn names_do_not_lead_into_the_own_network() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let zone = "host-record=inside.test,127.0.0.1\nhost-record=meta.test,169.254.169.254\n\
            host-record=node.lab.test,127.0.0.3\n\
            srv-host=_sip._udp.lab.test,node.lab.test,53,10,50\n\
            srv-host=_sip._tcp.lab.test,node.lab.test,25,20,50\n\
            srv-host=_sip._udp.good.lab.test,node.lab.test,5090,10,50\n\
            srv-host=_sip._udp.own.lab.test,inside.test,5070,10,50\n";
        let _names = Names::start(bench, zone)?;
        let service = UdpSocket::bind("127.0.0.3:53")?;
        service.set_nonblocking(true)?;
        let node = Agent::bind("127.0.0.3:5090")?;
        let open = |name, matches, extra| Trunk {
            name,
            matches,
            extra,
            ..Trunk::default()
        };
        let trunks = vec![
            open(
                "partners",
                "*@inside.test *@meta.test *@127.0.0.1 *@10.77.0.1",
                "",
            ),
            open(
                "lab",
                "*@lab.test *@good.lab.test *@own.lab.test",
                "allow_private = true",
            ),
        ];
        let scene = Scene::open(bench, trunks, "[message]\nretry_for = 1\n")?;
        for host in [
            "inside.test",
            "meta.test",
            "127.0.0.1",
            "10.77.0.1",
            "lab.test",
            "own.lab.test",
        ] {
            let contact = format!(r"root\40{host}");
            scene.say(&contact, host)?;
            let error = scene.alice.expect("an error", |stanza| {
                stanza.kind() == "error" && stanza.id() == host
            })?;
            ensure!(
                error.condition() == "remote-server-not-found",
                "{}",
                error.xml
            );
        }
        ensure!(service.recv(&mut [0; 1]).is_err(), "another service heard");
        scene.say(r"root\40good.lab.test", "good")?;
        node.expect_body("good")?.reply(200, "OK")?;
        scene.close(&[])
    })
}
