//! The command line and the configuration: what is wrong is said once, clearly, with exit code 78.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use integration_tests::Bench;
use integration_tests::tandem::{find_binary, with_tandem};

/// Each mistake names its place, its key and what would be right.
#[test]
fn mistakes_are_named() -> Result<()> {
    with_tandem(|bench| {
        let cases: [(&str, &str, &[&str]); 17] = [
            (
                COMPONENT,
                "[mapping]\ndomain = \"sip.x.test\"\n[xmpp]\nsecrt = \"s\"\n",
                &[":4:", "xmpp.secrt", "unknown key", "\"secret\""],
            ),
            (
                COMPONENT,
                "[maping]\ndomain = \"sip.x.test\"\n",
                &["maping", "mapping"],
            ),
            (COMPONENT, "[mapping]\ndomain = \"sip.x.test\"\n", &["xmpp"]),
            (
                COMPONENT,
                "[mapping]\ndomain = \"sip.x.test\"\n[xmpp]\n",
                &["xmpp.secret"],
            ),
            (
                COMPONENT,
                "[mapping]\ndomain = \"sip.x.test\"\n[xmpp]\nsecret = \"s\"\nserver = \"x\"\n",
                &["xmpp.server", "port"],
            ),
            (
                COMPONENT,
                "[mapping]\ndomain = \"sip x\"\n[xmpp]\nsecret = \"s\"\n",
                &["mapping", "domain"],
            ),
            (
                COMPONENT,
                "[mapping]\ndomain = \"sip.x.test\"\n[xmpp]\nsecret = \"s\"\nmax_stanza = 10\n",
                &["xmpp.max_stanza", "10000"],
            ),
            (
                COMPONENT,
                "[mapping]\ndomain = \"sip.x.test\"\n[xmpp]\nsecret = \"s\"\nsecret_file = \"/none\"\n",
                &["xmpp.secret"],
            ),
            (
                COMPONENT,
                "[mapping]\ndomain = \"sip.x.test\"\n[xmpp]\nsecret_file = \"/none\"\n",
                &["/none"],
            ),
            (COMPONENT, "[mapping\n", &[":1:"]),
            (
                B2BUA,
                "[mapping]\ndomain = \"sip.x.test\"\n[[trunk]]\nname = \"a\"\nmatch = \"+1x\"\nnext_hop = \"h\"\n",
                &["trunk", "match", "+1x"],
            ),
            (
                B2BUA,
                "[mapping]\ndomain = \"sip.x.test\"\n[[trunk]]\nname = \"a\"\nmatch = \"+1*\"\n",
                &["trunk \"a\"", "next_hop"],
            ),
            (
                B2BUA,
                "[mapping]\ndomain = \"sip.x.test\"\n[[trunk]]\nname = \"a\"\nmatch = \"*@b.test\"\nusername = \"u\"\n",
                &["password"],
            ),
            (
                B2BUA,
                "[mapping]\ndomain = \"sip.x.test\"\n[[trunk]]\nname = \"a\"\ninbound = \"10.0.0.0/40\"\n",
                &["inbound", "10.0.0.0/40"],
            ),
            (
                B2BUA,
                "[mapping]\ndomain = \"sip.x.test\"\n[[listen]]\ntransport = \"sctp\"\naddress = \"127.0.0.1:5060\"\n",
                &["listen", "transport"],
            ),
            (
                B2BUA,
                "[mapping]\ndomain = \"sip.x.test\"\n[[listen]]\ntransport = \"tls\"\naddress = \"127.0.0.1:5061\"\n",
                &["listen.certificate"],
            ),
            (
                B2BUA,
                "[mapping]\ndomain = \"sip.x.test\"\n[[number]]\nnumber = \"+1555\"\njid = \"a@elsewhere.test\"\n",
                &["number.jid", "x.test"],
            ),
        ];
        for (binary, text, words) in cases {
            let output = check(bench, binary, text, &[])?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.code() == Some(78),
                "{text}\n{} {said}",
                output.status
            );
            ensure!(
                said.trim().lines().count() == 1 && said.contains("wrong.toml"),
                "{text}\n{said}"
            );
            for word in words {
                ensure!(said.contains(word), "{word} is not said of\n{text}\n{said}");
            }
        }
        Ok(())
    })
}

/// The environment overrides the file, and mistakes in it are named too.
#[test]
fn the_environment_overrides_the_file() -> Result<()> {
    with_tandem(|bench| {
        let overridden = run(
            bench,
            COMPONENT,
            GOOD_COMPONENT,
            &["print-config"],
            &[
                ("TANDEM_XMPP__SERVER", "10.9.8.7:5555"),
                ("TANDEM_XMPP__SECRET", "from the environment"),
            ],
        )?;
        let shown = String::from_utf8_lossy(&overridden.stdout);
        ensure!(shown.contains("10.9.8.7:5555"), "{shown}");
        for (name, value, words) in [
            (
                "TANDEM_XMPP__SERVR",
                "x:1",
                ["TANDEM_XMPP__SERVR", "server"],
            ),
            ("TANDEM_XMP__SERVER", "x:1", ["TANDEM_XMP__SERVER", "xmpp"]),
            (
                "TANDEM_XMPP__MAX_STANZA",
                "much",
                ["TANDEM_XMPP__MAX_STANZA", "max_stanza"],
            ),
        ] {
            let output = check(bench, COMPONENT, GOOD_COMPONENT, &[(name, value)])?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.code() == Some(78),
                "{name}: {} {said}",
                output.status
            );
            for word in words {
                ensure!(said.contains(word), "{word} is not said of {name}: {said}");
            }
        }
        // The tables of the other process may be in the same environment.
        let theirs = [("TANDEM_TRUNK__X", "y"), ("TANDEM_POLICY__ADMINS", "[]")];
        let output = check(bench, COMPONENT, GOOD_COMPONENT, &theirs)?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    })
}

/// `check` says that all is well; `print-config` shows everything but secrets.
#[test]
fn a_good_configuration_is_checked_and_shown_without_secrets() -> Result<()> {
    with_tandem(|bench| {
        for (binary, text) in [(COMPONENT, GOOD_COMPONENT), (B2BUA, GOOD_B2BUA)] {
            let output = check(bench, binary, text, &[])?;
            ensure!(
                output.status.success() && String::from_utf8_lossy(&output.stdout).contains("good"),
                "{output:?}"
            );
            let output = run(bench, binary, text, &["print-config"], &[])?;
            let shown = String::from_utf8_lossy(&output.stdout);
            ensure!(
                output.status.success() && !shown.contains(PASSWORD),
                "{shown}"
            );
            ensure!(
                shown.contains("domain = \"sip.x.test\"") && shown.contains("retry_for"),
                "{shown}"
            );
            // What is shown is a configuration again, but for the secrets.
            let again = check(bench, binary, &shown, &[])?;
            let said = String::from_utf8_lossy(&again.stderr);
            ensure!(again.status.success(), "{shown}\n{said}");
        }
        Ok(())
    })
}

/// What does not get better by itself ends the start with the code of a configuration that cannot be
/// used, so that nobody starts it again and again; `check` says it before.
#[test]
fn what_a_start_stumbles_over_is_the_configurations_fault() -> Result<()> {
    with_tandem(|bench| {
        let at = bench.text_path("bus.sock");
        let text = |store: &str, more: &str| {
            format!(
                "[mapping]\ndomain = \"sip.x.test\"\n[bus]\nurl = \"local:{at}\"\n[store]\npath = \"{store}\"\n{more}"
            )
        };
        let store = bench.text_path("b2bua.sqlite");
        let tls = "[[listen]]\ntransport = \"tls\"\naddress = \"127.0.0.1:5061\"\n\
                   certificate = \"/none/a.crt\"\nkey = \"/none/a.key\"\n";
        for (text, code, word) in [
            (
                text("/none/b.sqlite", ""),
                0,
                "store.path: there is no directory /none",
            ),
            (
                text(&store, tls),
                78,
                "listen: cannot read the certificate /none/a.crt",
            ),
        ] {
            let checked = check(bench, B2BUA, &text, &[])?;
            let started = run(bench, B2BUA, &text, &["run"], &[])?;
            for (output, code) in [(checked, code), (started, 78)] {
                let said = String::from_utf8_lossy(&output.stderr);
                ensure!(output.status.code() == Some(code), "{text}\n{output:?}");
                ensure!(said.contains("wrong.toml") && said.contains(word), "{said}");
            }
        }
        // What nobody sees before it is tried.
        let never = text("/proc/b.sqlite", "");
        ensure!(check(bench, B2BUA, &never, &[])?.status.success());
        let started = run(bench, B2BUA, &never, &["run"], &[])?;
        let said = String::from_utf8_lossy(&started.stderr);
        ensure!(started.status.code() == Some(78), "{started:?}");
        ensure!(said.contains("store.path /proc/b.sqlite"), "{said}");
        Ok(())
    })
}

/// A secret may be in a file, whose last line end is none of it.
#[test]
fn secrets_may_be_in_files() -> Result<()> {
    with_tandem(|bench| {
        let secret = bench.write("secret", &format!("{PASSWORD}\n"))?;
        let component = format!(
            "[mapping]\ndomain = \"sip.x.test\"\n[xmpp]\nsecret_file = \"{}\"\n",
            secret.display()
        );
        let b2bua = format!(
            "[mapping]\ndomain = \"sip.x.test\"\n[[trunk]]\nname = \"a\"\nmatch = \"*@b.test\"\nnext_hop = \"192.0.2.1\"\nusername = \"u\"\npassword_file = \"{}\"\n",
            secret.display()
        );
        for (binary, text) in [(COMPONENT, component), (B2BUA, b2bua)] {
            let output = run(bench, binary, &text, &["print-config"], &[])?;
            ensure!(
                output.status.success()
                    && !String::from_utf8_lossy(&output.stdout).contains(PASSWORD),
                "{output:?}"
            );
        }
        Ok(())
    })
}

/// `--version`, `--help`, and a command line nobody understands.
#[test]
fn the_command_line_explains_itself() -> Result<()> {
    with_tandem(|_| {
        for binary in [COMPONENT, B2BUA] {
            let ask = |argument: &str| {
                Command::new(find_binary(binary)?)
                    .arg(argument)
                    .output()
                    .map_err(anyhow::Error::from)
            };
            let version = String::from_utf8_lossy(&ask("--version")?.stdout).into_owned();
            ensure!(
                version.starts_with(binary) && version.contains(env!("CARGO_PKG_VERSION")),
                "{version}"
            );
            let help = String::from_utf8_lossy(&ask("--help")?.stdout).into_owned();
            let words = ["run", "check", "print-config", "--config", "--log-format"];
            for word in words.into_iter().chain(["/etc/tandem/"]) {
                ensure!(help.contains(word), "{word}: {help}");
            }
            ensure!(ask("--confg")?.status.code() == Some(2));
            let missing = Command::new(find_binary(binary)?)
                .args(["check", "--config", "/none.toml"])
                .output()?;
            ensure!(
                missing.status.code() == Some(78)
                    && String::from_utf8_lossy(&missing.stderr).contains("/none.toml")
            );
        }
        Ok(())
    })
}

/// Two configurations that do not fit are one clear error in each process, and nothing crosses.
#[test]
fn configurations_that_differ_are_told() -> Result<()> {
    with_tandem(|bench| {
        use integration_tests::process::Process;
        let bus = format!("[bus]\nurl = \"local:{}\"\n", bench.text_path("bus.sock"));
        let write = |name: &str, domain: &str, more: &str| {
            let store = bench.text_path(&format!("{name}.sqlite"));
            let text = format!(
                "[mapping]\ndomain = \"{domain}\"\n{bus}[store]\npath = \"{store}\"\n{more}"
            );
            bench.write(&format!("{name}.toml"), &text)
        };
        let component = write(COMPONENT, "sip.x.test", "[xmpp]\nsecret = \"s\"\n")?;
        let b2bua = write(B2BUA, "sip.y.test", "")?;
        let mut processes = Vec::new();
        for (binary, config) in [(B2BUA, b2bua), (COMPONENT, component)] {
            let mut command = Command::new(find_binary(binary)?);
            command.arg("--config").arg(config);
            processes.push(Process::start(bench, binary, command)?);
        }
        for process in &mut processes {
            let line = process.wait_log("ERROR")?;
            ensure!(line.contains("mapping"), "{line}");
        }
        Ok(())
    })
}

fn check(bench: &Bench, binary: &str, text: &str, environment: &[(&str, &str)]) -> Result<Output> {
    run(bench, binary, text, &["check"], environment)
}

fn run(
    bench: &Bench,
    binary: &str,
    text: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<Output> {
    let path = bench.write("wrong.toml", text)?;
    let mut command = Command::new(find_binary(binary)?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TANDEM_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .arg("--config")
        .arg(path)
        .envs(environment.iter().copied());
    Ok(command.output()?)
}

const COMPONENT: &str = "tandem-component";
const B2BUA: &str = "tandem-b2bua";
const PASSWORD: &str = "Tr0ub4dor&3";
const GOOD_COMPONENT: &str =
    "[mapping]\ndomain = \"sip.x.test\"\n[xmpp]\nsecret = \"Tr0ub4dor&3\"\n";
const GOOD_B2BUA: &str = "[mapping]\ndomain = \"sip.x.test\"\n[[trunk]]\nname = \"a\"\nmatch = [\"+*\", \"*@b.test\"]\n\
    next_hop = \"192.0.2.1\"\nusername = \"u\"\npassword = \"Tr0ub4dor&3\"\n[[number]]\nnumber = \"+1 555 0100\"\njid = \"a@x.test\"\n";
