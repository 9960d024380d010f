//! Z02, Z05: whoever no trunk names hears nothing that helps, and nothing grows by it.

use std::net::UdpSocket;
use std::process::Command;

use anyhow::{Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::names::Names;
use integration_tests::program::find;
use integration_tests::sip::{Agent, Draft};
use integration_tests::tandem::{Setup, Tandem, Trunk, with_tandem_within};
use integration_tests::{Bench, Server};

use crate::scene::{LIMIT, Scene, account, provider};

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

/// The filter that is shipped names whoever is banned to the firewall, and nobody whom a registrar would have banned.
fn filter(bench: &Bench, format: &str) -> Result<()> {
    let forged = [
        "a stranger is banned source=198.51.100.7 requests=10",
        "WARN tandem_b2bua::sip::endpoint::strangers: a stranger is banned source=198.51.100.8 requests=10",
        "x\",\"level\":\"WARN\",\"message\":\"a stranger is banned\",\"source\":\"198.51.100.9\"",
    ];
    let hops = ["127.0.0.11:5090", "127.0.0.12:5090", "127.0.0.13:5090"];
    let registrars = hops.map(Agent::bind);
    let log = format!("[log]\nlevel = \"info\"\nformat = \"{format}\"\n");
    let mut setup = Setup::with_trunk(Server::chosen()?, Trunk::default());
    setup.trunks = hops
        .map(|hop| Trunk {
            name: hop,
            next_hop: hop,
            ..account("udp", "pw-tandem", "register = true")
        })
        .to_vec();
    setup.shared_extra = &log;
    setup.log_level = "";
    let mut tandem = Tandem::start_unlinked(bench, &setup)?;
    for ((registrar, hop), words) in registrars.into_iter().zip(hops).zip(forged) {
        let request = registrar?.expect_request("REGISTER")?;
        request.reply(500, words)?;
        tandem.b2bua.wait_log_where(0, words, |line| {
            let all = ["not registered", hop, "a stranger is banned", "198.51.100."];
            all.iter().all(|it| line.contains(it)).then_some(())
        })?;
    }
    let scanner = Agent::bind("127.0.0.66:5060")?;
    let path = scanner.udp_to(GATEWAY)?;
    for _ in 0..20 {
        let draft = Draft::new("OPTIONS", "sip:100@127.0.0.1");
        path.send(&draft.to_bytes(&path))?;
    }
    tandem.b2bua.wait_log("a stranger is banned")?;
    tandem.terminate()?;
    let filter = bench.write(
        "filter.conf",
        include_str!("../../../configs/fail2ban-filter.conf"),
    )?;
    let script = bench.write(
        "fail2ban_filter.py",
        include_str!("../../py/fail2ban_filter.py"),
    )?;
    let mut command = Command::new(find("python3", "python3")?);
    let output = command.arg(script).arg(filter).arg(tandem.b2bua.log_path());
    let output = output.output()?;
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let one = "[\"127.0.0.66\"]";
    ensure!(
        found.trim() == format!("[{one}, {one}, {one}]"),
        "{found} {errors}"
    );
    Ok(())
}

#[test]
fn the_firewall_hears_of_the_banned_alone() -> Result<()> {
    with_tandem_within(LIMIT, |bench| filter(bench, "text"))
}

#[test]
fn the_firewall_hears_of_the_banned_alone_in_json() -> Result<()> {
    with_tandem_within(LIMIT, |bench| filter(bench, "json"))
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
