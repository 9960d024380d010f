//! N05: whose certificates are accepted, and what Tandem shows (RFC 5922).

use anyhow::{Result, ensure};
use integration_tests::Bench;
use integration_tests::certificates::{Certificate, make_exactly};
use integration_tests::names::Names;
use integration_tests::provider::{Provider, Secured, Setup};
use integration_tests::server::password_of;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Scene, account};

/// The domain leads to a host of another name.
const ZONE: &str = "srv-host=_sips._tcp.provider.test,node.hosting.test,5061\n\
    host-record=node.hosting.test,127.0.0.11\nhost-record=sip.provider.test,127.0.0.11\n\
    host-record=provider.test,127.0.0.11\n";

/// A provider that shows `certificate` and wants to see one of `customers`.
fn start(
    bench: &Bench,
    certificate: &Certificate,
    customers: Option<&Certificate>,
) -> Result<Provider> {
    let secured = Some(Secured {
        certificate,
        customers,
    });
    let setup = Setup {
        secured,
        ..Setup::default()
    };
    Provider::start(bench, setup)
}

/// Keys of a trunk that registers and trusts `certificate`.
fn keys(certificate: &Certificate) -> String {
    let file = certificate.certificate.display();
    format!("register = true\nauthorities = \"{file}\"")
}

/// The domain counts, not the host that DNS led to.
#[test]
fn a_certificate_for_the_domain_is_accepted() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let certificate = make_exactly(bench, "domain", "URI:sip:provider.test,DNS:other.test")?;
        let mut node = start(bench, &certificate, None)?;
        let (password, keys) = (password_of("tandem"), keys(&certificate));
        let scene = Scene::open(bench, vec![account("tls", &password, &keys)], "")?;
        let line = node.wait_registered("tandem")?;
        ensure!(line.contains("source=tls:"), "{line}");
        scene.tandem.borrow_mut().b2bua.wait_log("registered")?;
        scene.write("+15559001", "out")?;
        scene.write_in(&node, "in")?;
        let call = scene.call_out("+15559002")?;
        scene.hang_up(call)?;
        scene.close(&[])
    })
}

/// Nothing is said to a server with this certificate, and the log says why.
fn refuse(bench: &Bench, alternatives: &str, next_hop: &str) -> Result<()> {
    let _names = Names::start(bench, ZONE)?;
    let certificate = make_exactly(bench, "provider.test", alternatives)?;
    let node = start(bench, &certificate, None)?;
    let (password, keys) = (password_of("tandem"), keys(&certificate));
    let mut trunk = account("tls", &password, &keys);
    trunk.next_hop = next_hop;
    let scene = Scene::open(bench, vec![trunk], "")?;
    let mut tandem = scene.tandem.borrow_mut();
    let line = tandem.b2bua.wait_log("no connection")?;
    let shown = alternatives.trim_start_matches("DNS:");
    for word in [next_hop, shown, "tls_name of the trunk"] {
        ensure!(line.contains(word), "{word}: {line}");
    }
    tandem
        .b2bua
        .wait_log("no secure connection with the registrar")?;
    ensure!(node.lines("provider-")?.is_empty());
    Ok(())
}

#[test]
fn a_certificate_for_the_host_is_refused() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        refuse(bench, "DNS:node.hosting.test", "provider.test")
    })
}

#[test]
fn a_wildcard_is_refused() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        refuse(bench, "DNS:*.provider.test", "sip.provider.test")
    })
}

/// A provider that wants to see who comes takes the certificate of the trunk, and nobody without.
#[test]
fn a_trunk_shows_its_certificate() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let certificate = make_exactly(bench, "domain", "URI:sip:provider.test")?;
        let ours = make_exactly(bench, "gateway", "URI:sip:gateway.test")?;
        let mut node = start(bench, &certificate, Some(&ours))?;
        let password = password_of("tandem");
        let without = keys(&certificate);
        let with = format!(
            "{without}\ncertificate = \"{}\"\nkey = \"{}\"",
            ours.certificate.display(),
            ours.key.display()
        );
        let mut silent = account("tls", &password, &without);
        (silent.name, silent.matches) = ("silent", "+99*");
        let trunks = vec![account("tls", &password, &with), silent];
        let scene = Scene::open(bench, trunks, "")?;
        let mut tandem = scene.tandem.borrow_mut();
        let line = tandem.b2bua.wait_log("no connection")?;
        ensure!(line.contains("certificate and key of the trunk"), "{line}");
        node.wait_registered("tandem")?;
        tandem.b2bua.wait_log("registered trunk=\"provider\"")?;
        drop(tandem);
        scene.write("+15559001", "out")?;
        ensure!(node.lines("provider-registered")?.len() == 1);
        Ok(())
    })
}
