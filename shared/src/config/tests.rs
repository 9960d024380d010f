use super::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    xmpp: Xmpp,
    #[serde(default)]
    bus: BusSection,
    #[serde(default)]
    log: LogSection,
    #[serde(default)]
    row: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Xmpp {
    domain: String,
    #[serde(default)]
    secret: Secret,
    #[serde(default = "port")]
    port: u16,
}

fn port() -> u16 {
    5347
}

impl Schema for Config {
    const TABLES: &'static [&'static str] = &["xmpp", "bus", "log"];
    const FOREIGN_TABLES: &'static [&'static str] = &["listen"];
    const DEFAULT_PATH: &'static str = "/etc/tandem/x.toml";
    const FORMER_TABLES: &'static [(&'static str, &'static str)] =
        &[("link", "[link] is called [xmpp] now")];

    type DropIn = NoDropIns;

    fn absorb(&mut self, none: NoDropIns, _: &Places) {
        match none {}
    }

    fn finish(self) -> Result<Self, Fault> {
        match self.xmpp.port {
            1 => Err(ConfigError("xmpp.port: must not be 1".to_owned()).into()),
            _ => Ok(self),
        }
    }
}

fn read(text: &str) -> Result<Config, String> {
    parse(Path::new("x.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn a_misspelt_key_is_named_with_line_and_nearest() {
    let error = read("[xmpp]\ndomain = \"a.b\"\nsecert = \"x\"\n").unwrap_err();
    assert_eq!(
        error,
        "x.toml:3: xmpp.secert: unknown key; did you mean \"secret\"?"
    );
}

#[test]
fn a_misspelt_table_is_named() {
    let error = read("[xmpp]\ndomain = \"a.b\"\n[buss]\n").unwrap_err();
    assert!(
        error.starts_with("x.toml:3: buss: unknown key; did you mean \"bus\"?"),
        "{error}"
    );
}

#[test]
fn a_wrong_type_is_named() {
    let error = read("[xmpp]\ndomain = \"a.b\"\nport = \"many\"\n").unwrap_err();
    assert!(error.starts_with("x.toml:3: xmpp.port: "), "{error}");
    assert!(error.contains("many"), "{error}");
}

#[test]
fn what_is_wrong_with_a_value_says_what_would_be_right() {
    let said = |lines: &str| read(&format!("[xmpp]\ndomain = \"a.b\"\n{lines}")).unwrap_err();
    for (lines, expected) in [
        (
            "port = \"many\"",
            "x.toml:3: xmpp.port: \"many\" is not possible; write a whole number from 0 to 65535",
        ),
        ("port = 70000", "xmpp.port: 70000 is not possible"),
        ("port = -1", "xmpp.port: -1 is not possible"),
        ("port = []", "xmpp.port: a list is not possible"),
        (
            "[log]\nformat = \"xml\"",
            "x.toml:4: log.format: \"xml\" is not possible; write \"text\" or \"json\"",
        ),
        (
            "[link]\nport = 1",
            "x.toml:3: link: unknown key; [link] is called [xmpp] now",
        ),
    ] {
        let said = said(lines);
        assert!(said.contains(expected), "{said}");
    }
    for (text, expected) in [
        (
            "domain = \"a.b\"\n",
            "x.toml:1: domain: stands above all tables",
        ),
        (
            "[xmpp]\ndomain = \"a.b\"\n[listen]\nx = 1\n",
            "x.toml:3: listen: unknown key; this table is for the configuration of the other",
        ),
        (
            "[xmpp]\ndomain = \"a.b\"\n[row]\nname = \"x\"\n",
            "x.toml:3: row: there may be several; write [[row]]",
        ),
        (
            "[xmpp]\ndomain = \"a.b\"\nport = 1\n",
            "x.toml:3: xmpp.port: must not be 1",
        ),
    ] {
        let said = read(text).unwrap_err();
        assert!(said.starts_with(expected), "{said}");
    }
    // Whoever forgets the quotes around a password does not find it in a log.
    let said = said("secret = 12345678");
    assert!(
        said.contains("write a text in quotes") && !said.contains("1234"),
        "{said}"
    );
}

#[test]
fn a_missing_key_is_named() {
    let error = read("[xmpp]\n").unwrap_err();
    assert!(
        error.contains("xmpp.domain: this key is required"),
        "{error}"
    );
}

#[test]
fn broken_toml_names_its_line() {
    let error = read("[xmpp]\ndomain = \n").unwrap_err();
    assert!(error.starts_with("x.toml:2: "), "{error}");
}

#[test]
fn a_bad_bus_url_says_what_is_right() {
    let error = read("[xmpp]\ndomain = \"a\"\n[bus]\nurl = \"locl:/x\"\n").unwrap_err();
    assert!(error.contains("use local:/run/tandem/bus.sock"), "{error}");
}

#[test]
fn a_level_that_is_none_is_named_with_its_line() {
    let error = read("[xmpp]\ndomain = \"a\"\n[log]\nlevel = \"Warning\"\n").unwrap_err();
    assert!(
        error.starts_with("x.toml:4: log.level: \"Warning\" is no level; write error, warn, info"),
        "{error}"
    );
    let config = read("[xmpp]\ndomain = \"a\"\n[log]\nlevel = \"info,x=debug\"\n").unwrap();
    assert_eq!(config.log.level, "info,x=debug");
}

#[test]
fn secrets_do_not_show() {
    let config = read("[xmpp]\ndomain = \"a\"\nsecret = \"hunter2\"\n").unwrap();
    assert!(!show(&config).unwrap().contains("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.xmpp.secret.reveal(), "hunter2");
}

#[test]
fn secrets_come_from_a_value_or_a_file_but_not_both() {
    let path = std::env::temp_dir().join(format!("tandem-secret-{}", std::process::id()));
    std::fs::write(&path, "s3cret\n").unwrap();
    let none = Secret::default();
    let got = Secret::from_value_or_file("xmpp.secret", &none, Some(&path)).unwrap();
    assert_eq!(got.reveal(), "s3cret");
    let both = Secret::from_value_or_file("xmpp.secret", &Secret::new("x"), Some(&path));
    assert!(both.unwrap_err().to_string().contains("both"));
    std::fs::remove_file(&path).unwrap();
    let gone = Secret::from_value_or_file("xmpp.secret", &none, Some(&path));
    assert!(gone.unwrap_err().to_string().contains("xmpp.secret_file"));
    assert!(Secret::from_value_or_file("xmpp.secret", &none, None).is_err());
}

/// One underscore too few, and the database would be where nobody looks for it.
#[test]
fn a_variable_that_nobody_looks_at_is_named() {
    let check = |name: &str| {
        let checked = check_names::<Config>(std::iter::once(name.to_owned()));
        checked.map_err(|error| error.to_string())
    };
    for (name, expected) in [
        (
            "TANDEM_XMPP_MAX_STANZA",
            "write two underscores behind the table: TANDEM_XMPP__MAX_STANZA",
        ),
        ("TANDEM_xmpp_secret", "TANDEM_xmpp__secret"),
        ("TANDEM_LISTEN_ADDRESS", "TANDEM_LISTEN__ADDRESS"),
        (
            "TANDEM_XMP__SERVER",
            "there is no table [xmp]; did you mean \"xmpp\"?",
        ),
    ] {
        let error = check(name).unwrap_err();
        assert!(
            error.starts_with(&format!("environment variable {name}: ")),
            "{error}"
        );
        assert!(error.contains(expected), "{error}");
    }
    for name in [
        "TANDEM_XMPP__MAX_STANZA",
        "TANDEM_LISTEN__ADDRESS",
        "TANDEM_TEST_BINARIES",
        "TANDEM_SOAK_CALLS",
        "TANDEM_TARGET",
        "XMPP_SECRET",
    ] {
        assert_eq!(check(name), Ok(()), "{name}");
    }
}
