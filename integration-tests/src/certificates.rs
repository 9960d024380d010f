//! A certificate for the peers of one test, signed by itself.
//!
//! Invariant: made anew for every test, valid for the peers' names and addresses only.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::program;

/// Files in PEM. The certificate is its own authority: trust it to verify the peer.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The private key.
    pub key: PathBuf,
    /// The certificate.
    pub certificate: PathBuf,
}

/// Makes a certificate for the DNS `names`, for 127.0.0.1 and for the test's own address.
pub fn make(bench: &Bench, names: &[&str]) -> Result<Certificate> {
    let stem = names.first().copied().unwrap_or("peer");
    let mut alternatives: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    alternatives.push("IP:127.0.0.1".to_owned());
    alternatives.push(format!("IP:{}", crate::net::ADDRESS));
    make_exactly(bench, stem, &alternatives.join(","))
}

/// Makes a certificate with these alternative names, in the words of OpenSSL, as `URI:sip:a.test`. `stem` names its
/// files, and is its common name.
pub fn make_exactly(bench: &Bench, stem: &str, alternatives: &str) -> Result<Certificate> {
    let directory = bench.make_dir("certificates")?;
    let made = Certificate {
        key: directory.join(format!("{stem}.key")),
        certificate: directory.join(format!("{stem}.crt")),
    };
    let output = Command::new(program::find("openssl", "openssl")?)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", &format!("/CN={stem}")])
        .args(["-addext", &format!("subjectAltName={alternatives}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&made.key)
        .arg("-out")
        .arg(&made.certificate)
        .output()?;
    ensure!(
        output.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(made)
}
