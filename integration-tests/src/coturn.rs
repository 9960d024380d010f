//! coturn: a TURN server, for calls whose ends do not reach each other.
//!
//! Invariant: it relays between addresses of the test's own network only.

use std::process::Command;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::bench::Bench;
use crate::net;
use crate::process::Process;
use crate::{program, template};

/// The running server.
#[derive(Debug)]
pub struct Coturn {
    /// To kill or stop it.
    pub process: Process,
}

impl Coturn {
    /// Starts it and waits until it listens.
    pub fn start(bench: &Bench) -> Result<Self> {
        let directory = bench.make_dir("coturn")?.display().to_string();
        let config = template::fill(
            include_str!("../peers/turnserver.conf"),
            &[
                ("DIR", &directory),
                ("ADDRESS", net::ADDRESS),
                ("SECRET", SECRET),
            ],
        )?;
        let config = bench.write("coturn/turnserver.conf", &config)?;
        let mut command = Command::new(program::find("turnserver", "coturn")?);
        command.arg("-c").arg(config);
        let mut process = Process::start(bench, "coturn", command)?;
        process.wait_tcp(ADDRESS)?;
        process.wait_udp(3_478)?;
        Ok(Self { process })
    }

    /// What a client of [`crate::jingle`] needs to use it.
    pub fn ice_server(&self) -> Value {
        let password = STANDARD.encode(sign(SECRET.as_bytes(), USER.as_bytes()));
        json!({ "urls": [format!("turn:{ADDRESS}?transport=udp")], "username": USER, "credential": password })
    }

    /// How many allocations it has granted so far.
    pub fn allocations(&self) -> Result<usize> {
        let log = self.process.read_log()?;
        Ok(log.matches("ALLOCATE processed, success").count())
    }
}

/// HMAC-SHA1 (RFC 2104) with a key of at most one block.
fn sign(key: &[u8], text: &[u8]) -> [u8; 20] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let inner = Sha1::new()
        .chain_update(pad(0x36))
        .chain_update(text)
        .finalize();
    Sha1::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// Where it listens.
pub const ADDRESS: &str = "127.0.0.1:3478";
/// What XMPP servers make credentials of (XEP-0215).
pub const SECRET: &str = "turn-s3cr3t";
/// The end of its validity, in seconds since 1970, and whose it is.
const USER: &str = "2000000000:relayed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_specification_does() {
        // RFC 2202, the second case.
        let signature = sign(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(STANDARD.encode(signature), "7/zfauXrL6LSdBbV8YTfnCWafHk=");
    }
}
