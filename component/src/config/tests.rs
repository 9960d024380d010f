use super::*;
use std::path::Path;
use tandem_shared::config::{parse, show};

const EXAMPLE: &str = include_str!("../../../configs/component.toml");

fn read(text: &str) -> Result<Config, String> {
    parse(Path::new("component.toml"), text).map_err(|error| error.to_string())
}

/// The example with every commented key in force; alternatives to a set key stay comments.
fn uncommented() -> String {
    EXAMPLE
        .lines()
        .filter(|line| !line.starts_with("#secret_file") && !line.starts_with("#ping"))
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && !key.is_empty() => key,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_shows_the_defaults() {
    let plain = show(&read(EXAMPLE).unwrap()).unwrap();
    let full = show(&read(&uncommented()).unwrap()).unwrap();
    assert_eq!(plain, full);
}

#[test]
fn the_example_names_every_key() {
    let shown = show(&read(EXAMPLE).unwrap()).unwrap();
    for key in shown.lines().filter_map(|line| line.split_once(" = ")) {
        let named = |line: &str| {
            line.trim_start_matches('#')
                .starts_with(&format!("{} =", key.0))
        };
        assert!(EXAMPLE.lines().any(named), "{} is missing", key.0);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let minimal = "[mapping]\ndomain = \"sip.example.com\"\n[xmpp]\nsecret = \"x\"\n";
    assert!(read(minimal).is_ok());
    for (more, word) in [
        ("server = \"localhost\"", "xmpp.server"),
        (
            "allowed_domains = [\"example.org\"]",
            "mapping.user_domains",
        ),
        ("max_stanza = 1", "xmpp.max_stanza"),
        ("secret_file = \"/nonexistent\"", "both"),
        ("secrte = \"y\"", "secret"),
    ] {
        let error = read(&format!("{minimal}{more}\n")).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
    let error = read("[mapping]\ndomain = \"a b\"\n[xmpp]\nsecret = \"x\"\n").unwrap_err();
    assert!(error.contains("mapping"), "{error}");
    let error = read("[mapping]\ndomain = \"gateway\"\n[xmpp]\nsecret = \"x\"\n").unwrap_err();
    assert!(error.contains("user_domains"), "{error}");
}

/// No number stops what it is for, and none is more than clocks can hold.
#[test]
fn numbers_have_bounds() {
    let minimal = "[mapping]\ndomain = \"sip.example.com\"\n[xmpp]\nsecret = \"x\"\n";
    for (table, key, least, most) in [
        ("message", "retry_for", 0, 86_400),
        ("message", "outbox_max", 1, 10_000_000),
        ("message", "inbox_max", 1, 10_000_000),
        ("call", "ring", 1, 3600),
        ("call", "connect", 1, 3600),
        ("call", "begin", 1, 3600),
        ("call", "max", 1, 10_000_000),
        ("call", "per_user", 1, 10_000_000),
    ] {
        let said = |value: u64| {
            let text = format!("{minimal}[{table}]\n{key} = {value}\n");
            read(&text).map(drop)
        };
        assert_eq!((said(least), said(most)), (Ok(()), Ok(())), "{key}");
        let below = [u64::checked_sub(least, 1)].into_iter().flatten();
        for bad in below.chain([most + 1, u64::MAX / 2]) {
            let words = said(bad).unwrap_err();
            let expected = format!("{table}.{key}: must be from {least} to {most}");
            assert!(words.contains(&expected), "{bad}: {words}");
        }
    }
}
