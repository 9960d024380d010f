use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

use super::*;

/// A certificate with this common name and these alternatives.
fn certificate(common: &str, alternatives: &[&str]) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    params.subject_alt_names = alternatives.iter().map(|text| alternative(text)).collect();
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn alternative(text: &str) -> SanType {
    match text.split_once(':') {
        Some(("DNS", name)) => SanType::DnsName(name.try_into().unwrap()),
        Some(("IP", address)) => SanType::IpAddress(address.parse().unwrap()),
        _ => SanType::URI(text.try_into().unwrap()),
    }
}

fn fits(certificate: &[u8], wanted: &str) -> bool {
    check(certificate, &ServerName::try_from(wanted).unwrap()).is_ok()
}

#[test]
fn a_sip_uri_names_the_domain() {
    let one = certificate("x", &["SIP:Provider.example:5061;transport=tls"]);
    assert!(fits(&one, "provider.example"));
    assert!(fits(&one, "PROVIDER.EXAMPLE"));
    assert!(!fits(&one, "sip.provider.example"));
    assert!(!fits(&one, "example"));
}

#[test]
fn beside_a_sip_uri_host_names_do_not_count() {
    let one = certificate("x", &["DNS:host.example", "sip:provider.example"]);
    assert!(fits(&one, "provider.example"));
    assert!(!fits(&one, "host.example"));
}

#[test]
fn other_uris_and_those_of_users_are_no_domains() {
    let others = [
        "sips:a.example",
        "sip:u@a.example",
        "https://a.example",
        "DNS:b.example",
    ];
    let one = certificate("a.example", &others);
    assert!(!fits(&one, "a.example"));
    assert!(fits(&one, "b.example"));
}

#[test]
fn a_wildcard_stands_for_nobody() {
    let one = certificate("sip.example.com", &["DNS:*.example.com"]);
    assert!(!fits(&one, "sip.example.com"));
    let error = check(&one, &ServerName::try_from("sip.example.com").unwrap()).unwrap_err();
    assert!(error.to_string().contains("*.example.com"), "{error}");
}

#[test]
fn the_common_name_counts_only_where_there_is_nothing_else() {
    assert!(fits(&certificate("a.example", &[]), "a.example"));
    assert!(!fits(
        &certificate("a.example", &["IP:192.0.2.1"]),
        "a.example"
    ));
}

#[test]
fn addresses_are_compared_with_addresses() {
    let one = certificate("x", &["IP:192.0.2.1", "IP:2001:db8::1", "DNS:a.example"]);
    for (wanted, expected) in [
        ("192.0.2.1", true),
        ("2001:db8::1", true),
        ("192.0.2.2", false),
    ] {
        assert_eq!(fits(&one, wanted), expected, "{wanted}");
    }
    assert!(!fits(&certificate("192.0.2.1", &[]), "192.0.2.1"));
}

#[test]
fn what_is_no_certificate_is_for_nobody() {
    assert!(!fits(b"\x30\x03abc", "a.example"));
}
