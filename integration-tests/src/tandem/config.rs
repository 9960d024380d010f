//! The two configuration files: the only place of the tests that knows their keys.
//!
//! Invariant: everything a test does not ask for is left to Tandem's defaults.

use std::fmt::Write as _;
use std::path::Path;

use crate::bench::Bench;
use crate::kamailio;
use crate::server::{COMPONENTS, SECRET, Server};

/// What Tandem is started with.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// The server it is a component of.
    pub server: Server,
    /// Where the b2bua listens: transport and address.
    pub listeners: Vec<(&'a str, &'a str)>,
    /// Its trunks.
    pub trunks: Vec<Trunk<'a>>,
    /// Numbers and the JIDs they stand for.
    pub numbers: Vec<(&'a str, &'a str)>,
    /// Domains whose users it serves; empty for the default.
    pub user_domains: Vec<&'a str>,
    /// Lines of TOML in `[xmpp]`.
    pub xmpp_extra: &'a str,
    /// Lines of TOML at the end of `component.toml`, such as a table the tests do not write.
    pub component_extra: &'a str,
    /// Lines of TOML at the end of `b2bua.toml`.
    pub b2bua_extra: &'a str,
    /// Lines of TOML at the end of both files.
    pub shared_extra: &'a str,
    /// Levels of both logs, in the words of `[log] level`; empty when `shared_extra` has the table.
    pub log_level: &'a str,
    /// Where the two binaries are, instead of those of this workspace.
    pub binaries: Option<&'a Path>,
}

/// A `[[trunk]]`. Empty texts and `None` are not written.
#[derive(Clone, Debug, Default)]
pub struct Trunk<'a> {
    /// Its name.
    pub name: &'a str,
    /// Which contacts it takes: patterns between spaces.
    pub matches: &'a str,
    /// Where requests go: `host:port`.
    pub next_hop: &'a str,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'a str,
    /// The identity in From.
    pub from: &'a str,
    /// Addresses inbound requests may come from.
    pub inbound: Vec<&'a str>,
    /// User and password for digest challenges.
    pub credentials: Option<(&'a str, &'a str)>,
    /// Whether texts that are too long are split.
    pub split: Option<bool>,
    /// Lines of TOML in its table.
    pub extra: &'a str,
}

impl<'a> Setup<'a> {
    /// Tandem beside `server`, with a trunk to Kamailio's users at `sip.test`.
    pub fn with_kamailio(server: Server) -> Self {
        Self::with_trunk(
            server,
            Trunk {
                name: "registrar",
                matches: "*@sip.test",
                next_hop: kamailio::ADDRESS,
                transport: "udp",
                inbound: vec!["127.0.0.1", crate::net::ADDRESS],
                ..Trunk::default()
            },
        )
    }

    /// Tandem beside `server`, with one trunk.
    pub fn with_trunk(server: Server, trunk: Trunk<'a>) -> Self {
        Self {
            server,
            listeners: vec![("udp", kamailio::GATEWAY), ("tcp", kamailio::GATEWAY)],
            trunks: vec![trunk],
            numbers: Vec::new(),
            user_domains: Vec::new(),
            xmpp_extra: "",
            component_extra: "",
            b2bua_extra: "",
            shared_extra: "",
            log_level: "info",
            binaries: None,
        }
    }
}

pub(super) fn write_component(bench: &Bench, setup: &Setup<'_>, bus: &Path) -> String {
    let mut text = String::new();
    table(
        &mut text,
        "[xmpp]",
        &[("server", quote(COMPONENTS)), ("secret", quote(SECRET))],
    );
    append(&mut text, setup.xmpp_extra);
    table(
        &mut text,
        "[store]",
        &[("path", quote(&bench.text_path("component.sqlite")))],
    );
    finish(text, setup, bus, setup.component_extra)
}

pub(super) fn write_b2bua(bench: &Bench, setup: &Setup<'_>, bus: &Path) -> String {
    let mut text = String::new();
    table(
        &mut text,
        "[store]",
        &[("path", quote(&bench.text_path("b2bua.sqlite")))],
    );
    for (transport, address) in &setup.listeners {
        table(
            &mut text,
            "[[listen]]",
            &[("transport", quote(transport)), ("address", quote(address))],
        );
    }
    for trunk in &setup.trunks {
        write_trunk(&mut text, trunk);
    }
    for (number, jid) in &setup.numbers {
        table(
            &mut text,
            "[[number]]",
            &[("number", quote(number)), ("jid", quote(jid))],
        );
    }
    // What tests do in a minute is more than any user may.
    if !setup.b2bua_extra.contains("[policy]") {
        text.push_str(OPEN);
    }
    finish(text, setup, bus, setup.b2bua_extra)
}

/// A policy that lets every number be reached as often as anybody likes.
const OPEN: &str = "[policy]\nallow = [\"+*\"]\nuser_messages_per_minute = 0\nuser_calls_per_minute = 0\n\
                    user_calls = 0\nuser_minutes_per_day = 0\n\n";

fn write_trunk(text: &mut String, trunk: &Trunk<'_>) {
    let mut keys = Vec::new();
    let texts = [
        ("name", trunk.name),
        ("next_hop", trunk.next_hop),
        ("transport", trunk.transport),
        ("from", trunk.from),
    ];
    for (key, value) in texts {
        if !value.is_empty() {
            keys.push((key, quote(value)));
        }
    }
    let patterns: Vec<&str> = trunk.matches.split_whitespace().collect();
    for (key, values) in [("match", &patterns), ("inbound", &trunk.inbound)] {
        if !values.is_empty() {
            keys.push((key, list(values)));
        }
    }
    if let Some((username, password)) = trunk.credentials {
        keys.push(("username", quote(username)));
        keys.push(("password", quote(password)));
    }
    if let Some(split) = trunk.split {
        keys.push(("split", split.to_string()));
    }
    // Scripted parties would have to answer every question whether they are there.
    if !trunk.extra.contains("keepalive") {
        keys.push(("keepalive", "0".to_owned()));
    }
    table(text, "[[trunk]]", &keys);
    append(text, trunk.extra);
}

fn finish(mut text: String, setup: &Setup<'_>, bus: &Path, extra: &str) -> String {
    let mut mapping = vec![("domain", quote(setup.server.gateway()))];
    if !setup.user_domains.is_empty() {
        mapping.push(("user_domains", list(&setup.user_domains)));
    }
    table(&mut text, "[mapping]", &mapping);
    table(
        &mut text,
        "[bus]",
        &[("url", quote(&format!("local:{}", bus.display())))],
    );
    if !setup.log_level.is_empty() {
        table(&mut text, "[log]", &[("level", quote(setup.log_level))]);
    }
    text + setup.shared_extra + "\n" + extra
}

fn table(text: &mut String, head: &str, keys: &[(&str, String)]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{head}");
    for (key, value) in keys {
        let _ = writeln!(text, "{key} = {value}");
    }
    text.push('\n');
}

/// More lines of the table that was written last.
fn append(text: &mut String, lines: &str) {
    if !lines.is_empty() {
        text.truncate(text.trim_end().len());
        text.push('\n');
        text.push_str(lines);
        text.push_str("\n\n");
    }
}

fn list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
