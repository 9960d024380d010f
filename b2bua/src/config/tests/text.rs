//! Texts of a trunk and of `[accounts]`: addresses, domains, and what must not be empty.

use super::*;

const ROW: &str = "[[trunk]]\nname = \"r\"\nmatch = \"+*\"\n";
const HOP: &str = "next_hop = \"192.0.2.1\"\n";

#[test]
fn a_next_hop_may_be_an_address_of_either_family() {
    for (text, host, port) in [
        ("2001:db8::10", "[2001:db8::10]", None),
        ("sip:2001:db8::10", "[2001:db8::10]", None),
        ("[2001:db8::10]", "[2001:db8::10]", None),
        ("[2001:db8::10]:5070", "[2001:db8::10]", Some(5070)),
        ("192.0.2.10", "192.0.2.10", None),
        ("sip:pbx.example.com:5070", "pbx.example.com", Some(5070)),
    ] {
        let config = read(&format!("{MINIMAL}{ROW}next_hop = \"{text}\"\n")).unwrap();
        let trunks = config.trunks().unwrap();
        let hop = trunks.iter().next().unwrap().1.next_hop.clone().unwrap();
        assert_eq!((hop.host.to_string().as_str(), hop.port), (host, port));
        let printed = tandem_shared::config::show(&config).unwrap();
        read(&printed).unwrap();
    }
}

#[test]
fn a_text_that_says_nothing_is_refused() {
    let rows = [
        (
            "name",
            "[[trunk]]\nname = \"\"\nmatch = \"+*\"\n".to_owned(),
        ),
        ("account", format!("{ROW}register = true\naccount = \"\"\n")),
        (
            "realm",
            format!("{ROW}username = \"u\"\npassword = \"p\"\nrealm = \"\"\n"),
        ),
        (
            "tls_name",
            format!("{ROW}transport = \"tls\"\ntls_name = \"\"\n"),
        ),
    ];
    for (key, row) in rows {
        let words = read(&format!("{MINIMAL}{row}{HOP}")).unwrap_err();
        assert!(
            words.contains(&format!("{key}: must not be empty")),
            "{words}"
        );
        let named = row.replace("\"\"", "\"x\"");
        read(&format!("{MINIMAL}{named}{HOP}")).unwrap();
    }
}

#[test]
fn a_provider_of_accounts_is_known_however_its_domain_is_written() {
    let providers = |text: &str| {
        let text = format!("{MINIMAL}[accounts]\nproviders = [\"{text}\"]\n");
        read(&text).map(|config| config.accounts.settings().providers)
    };
    for (text, known) in [
        ("*", "*"),
        ("Provider.Example.", "provider.example"),
        ("*.Provider.example", "*.provider.example"),
        ("xn--bcher-kva.example", "b\u{fc}cher.example"),
        ("*.xn--bcher-kva.example", "*.b\u{fc}cher.example"),
        ("B\u{dc}CHER.example", "b\u{fc}cher.example"),
        ("2001:DB8::1", "[2001:db8::1]"),
        ("192.0.2.1", "192.0.2.1"),
    ] {
        assert_eq!(providers(text), Ok(vec![known.to_owned()]), "{text}");
    }
    for text in ["", "*.", "a b", "a@b.example", "**.example", "*example"] {
        let words = providers(text).unwrap_err();
        assert!(words.contains("accounts.providers: "), "{text}: {words}");
    }
}
