//! Parties that come over WebSocket, as phones in browsers do: node, with one MESSAGE for alice that says "hello".

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use integration_tests::certificates::Certificate;
use integration_tests::process::Process;
use integration_tests::{Bench, program};

use crate::scene::Scene;

/// What parties are started with.
pub(crate) struct Parties<'a> {
    bench: &'a Bench,
    own: &'a Certificate,
    text: PathBuf,
}

/// A listener that shows `own`, and wants a certificate that those in `clients` vouch for.
pub(crate) fn listener(own: &Certificate, clients: &Path) -> String {
    format!(
        "[[listen]]\ntransport = \"wss\"\naddress = \"127.0.0.1:8443\"\ncertificate = \"{}\"\nkey = \"{}\"\n\
         client_authorities = \"{}\"\n",
        own.certificate.display(),
        own.key.display(),
        clients.display()
    )
}

impl<'a> Parties<'a> {
    /// Parties that come to a listener which shows `own`.
    pub(crate) fn new(bench: &'a Bench, scene: &Scene, own: &'a Certificate) -> Result<Self> {
        let text = format!(
            "MESSAGE sip:alice%40{}@{} SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKws\r\nMax-Forwards: 70\r\n\
             From: <sip:+15559001@network.test>;tag=ws\r\nTo: <sip:alice@gateway.test>\r\nCall-ID: ws\r\n\
             CSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n\r\nhello",
            scene.server.domain(),
            scene.server.gateway()
        );
        let text = bench.write("message.sip", &text)?;
        Ok(Self { bench, own, text })
    }

    /// One comes, and shows a certificate if it has one.
    pub(crate) fn start(&self, name: &str, shown: Option<&Certificate>) -> Result<Process> {
        let mut command = Command::new(program::find("node", "nodejs")?);
        command
            .arg(program::source_dir().join("js/sip-websocket.mjs"))
            .arg("wss://127.0.0.1:8443/")
            .args([&self.text, &self.own.certificate]);
        if let Some(shown) = shown {
            command.args([&shown.certificate, &shown.key]);
        }
        Process::start(self.bench, name, command)
    }
}
