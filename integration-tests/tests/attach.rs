//! What the README tells an administrator to paste works as it stands: only domain, secret and
//! addresses are replaced, as an administrator replaces them.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::process::Process;
use integration_tests::scene::TRUNK;
use integration_tests::server::{self, SECRET};
use integration_tests::sip::{Agent, Draft};
use integration_tests::tandem::{find_binary, with_tandem};
use integration_tests::wait::{self, GENEROUS};
use integration_tests::xmpp::Xmpp;
use integration_tests::{Bench, Server, on_both_servers};

on_both_servers!(
    /// The server's snippet and both smallest configurations.
    the_readme_attaches_tandem,
);

fn the_readme_attaches_tandem(bench: &Bench, server: Server) -> Result<()> {
    let fill = |text: &str| {
        let text = text.replace("sip.example.com", server.gateway());
        text.replace("change-me", SECRET)
    };
    let snippet = fill(match server {
        Server::Prosody => include_str!("../../configs/attach/prosody.cfg.lua"),
        Server::Ejabberd => include_str!("../../configs/attach/ejabberd.yml"),
    });
    let setup = server::Setup {
        accounts: &["alice"],
        component: Some(&snippet),
        ..server::Setup::default()
    };
    let _running = server.start(bench, setup)?;

    let component = fill(include_str!("../../configs/minimal/component.toml"));
    let b2bua = fill(include_str!("../../configs/minimal/b2bua.toml"))
        .replace("192.0.2.10:5060", GATEWAY)
        .replace("sip.provider.example", TRUNK)
        .replace("203.0.113.0/24", "127.0.0.1");
    let _b2bua = start(bench, "tandem-b2bua", &b2bua)?;
    let _component = start(bench, "tandem-component", &component)?;
    let trunk = Agent::bind(TRUNK)?;
    let xmpp = Xmpp::start(bench)?;
    let alice = xmpp.log_in(server, "alice", "desk")?;
    wait::until("an answer from the gateway", GENEROUS, || {
        let answer = alice.ask("get", server.gateway(), "<ping xmlns='urn:xmpp:ping'/>")?;
        Ok((answer.kind() == "result").then_some(()))
    })?;

    alice.send_chat(&format!("+15550123@{}", server.gateway()), "m1", "hello")?;
    trunk.expect_body("hello")?.reply(200, "OK")?;
    let user = format!("sip:alice%40{}@{}", server.domain(), server.gateway());
    let draft = Draft::message(&user, "sip:+15550123@provider.test", "hello back");
    let answer = trunk.ask(&draft, &trunk.udp_to(GATEWAY)?)?;
    ensure!(answer.status() == Some(202), "{answer}");
    let message = alice.expect_body("hello back")?;
    ensure!(
        message.from() == format!("+15550123@{}", server.gateway()),
        "{}",
        message.xml
    );
    Ok(())
}

/// Both commented configurations are good as they are.
#[test]
fn the_commented_configurations_are_good() -> Result<()> {
    with_tandem(|bench| {
        for (name, text) in [
            (
                "tandem-component",
                include_str!("../../configs/component.toml"),
            ),
            ("tandem-b2bua", include_str!("../../configs/b2bua.toml")),
        ] {
            let path = bench.write(&format!("{name}.toml"), text)?;
            let output = Command::new(find_binary(name)?)
                .arg("check")
                .arg("--config")
                .arg(path)
                .output()?;
            ensure!(
                output.status.success(),
                "{name}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    })
}

/// Places an administrator leaves at their defaults are moved by the environment.
fn start(bench: &Bench, name: &str, config: &str) -> Result<Process> {
    let path = bench.write(&format!("{name}.toml"), config)?;
    let mut command = Command::new(find_binary(name)?);
    command
        .arg("--config")
        .arg(path)
        .env(
            "TANDEM_BUS__URL",
            format!("local:{}", bench.text_path("bus.sock")),
        )
        .env(
            "TANDEM_STORE__PATH",
            bench.text_path(&format!("{name}.sqlite")),
        );
    Process::start(bench, name, command).with_context(|| name.to_owned())
}
