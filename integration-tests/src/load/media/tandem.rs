//! Calls through the b2bua, all of it: it is told of them on the bus and calls the phones itself.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use is::IceCreds;
use tandem_shared::address::Address;
use tandem_shared::call::{CallId, Fact, Offer, Role};
use tandem_shared::media::{
    Candidate, CandidateKind, Codec, Description, Direction, Dtls, IceCredentials, Media, Setup,
    Stream, Transport,
};

use super::client::{self, Client, Identity};
use super::component::Component;
use super::line::Line;
use super::path::Path;
use super::phones::{Phones, SIGNALLING};
use super::sound::Speech;
use super::subject::{Placed, pinned};
use crate::bench::Bench;
use crate::load::namespace;
use crate::process::Process;

/// Starts the b2bua.
pub fn start(bench: &Bench, path: Path) -> Result<(Process, Component)> {
    let bus = bench.path("bus.sock");
    let srtp = if path.has_sdes() { "sdes" } else { "off" };
    let config = format!(
        "[mapping]\ndomain = \"sip.example.com\"\n\
         [bus]\nurl = \"local:{}\"\n[store]\npath = \"{}\"\n[log]\nlevel = \"warn\"\n\
         [[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5070\"\n\
         [[trunk]]\nname = \"phones\"\nmatch = [\"+*\"]\nnext_hop = \"{SIGNALLING}\"\ntransport = \"udp\"\n\
         inbound = [\"127.0.0.1\"]\ncodecs = [\"pcmu\"]\nsrtp = \"{srtp}\"\n\
         [policy]\nallow = [\"+*\"]\n[call]\nmax = 5000\n[media]\naddresses = [\"127.0.0.1\"]\nthreads = 1\n",
        bus.display(),
        bench.text_path("b2bua.sqlite"),
    );
    let config = bench.write("b2bua.toml", &config)?;
    let mut command: Command = pinned(namespace::binaries()?.join("tandem-b2bua"));
    command.arg("--config").arg(config);
    let process = Process::start(bench, "tandem-b2bua", command)?;
    let component = Component::link(&bus)?;
    Ok((process, component))
}

/// Places `count` calls.
pub fn place(bench: &Bench, path: Path, count: usize) -> Result<Placed> {
    let phones = Phones::start(path)?;
    let identity = Identity::make()?;
    let (process, component) = start(bench, path)?;
    let before = super::subject::memory(process.id())?;
    let mut lines = Vec::with_capacity(count);
    for number in 0..count {
        lines.push(call(&component, &phones, &identity, path, number)?);
    }
    client::connect(lines.iter_mut().map(|line| &mut line.client))?;
    Ok(Placed {
        pid: process.id(),
        process,
        kept: Box::new(component),
        phones,
        lines,
        before,
    })
}

fn call(
    component: &Component,
    phones: &Phones,
    identity: &Identity,
    path: Path,
    number: usize,
) -> Result<Line> {
    let mut client = Client::bind(number)?;
    let call = CallId(format!("6ba7b810-9dad-41d1-80b4-{number:012}"));
    let address = |user: &str, host: &str| {
        Address::new(user, host).map_err(|_| anyhow::anyhow!("{user}@{host} is no address"))
    };
    let mut from = address("juliet", "example.com")?;
    from.device = Some(number.to_string());
    let offer = Offer {
        from,
        to: address(&format!("+1555{number:07}"), "sip.example.com")?,
        name: None,
        media: vec![Media::Audio],
        description: Some(describe(&client, identity, path.at_client())),
        hops: 70,
    };
    component.tell(&call, Fact::Offer(Box::new(offer)))?;
    let (called, phone) = phones.next_called()?;
    anyhow::ensure!(called == number, "phone {called} was called, not {number}");
    let answer = loop {
        match component.hear()? {
            (of, Fact::Describe(describe)) if of == call && describe.role == Role::Answer => {
                break describe.description;
            }
            (_, Fact::End(end)) => bail!("call {number} ended: {end:?}"),
            _ => {}
        }
    };
    let transport = &answer
        .streams
        .first()
        .context("an answer without a stream")?
        .transport;
    let ice = transport.ice.as_ref().context("no ICE")?;
    let candidate = transport.candidates.first().context("no candidate")?;
    let credentials = IceCreds {
        ufrag: ice.ufrag.clone(),
        pass: ice.pwd.clone(),
    };
    client.check(credentials, SocketAddr::new(candidate.ip, candidate.port))?;
    let setup = transport.dtls.as_ref().map(|dtls| dtls.setup);
    client.secure(identity, setup == Some(Setup::Passive));
    Ok(Line { client, phone })
}

/// A client's offer.
pub fn describe(client: &Client, identity: &Identity, speech: Speech) -> Description {
    let (name, clock, channels) = match speech {
        Speech::Pcmu => ("PCMU", 8000, 1),
        Speech::Opus => ("opus", 48_000, 2),
    };
    let stream = Stream {
        mid: "0".into(),
        media: Media::Audio,
        direction: Direction::Both,
        rejected: false,
        codecs: vec![Codec {
            id: speech.payload_type(),
            name: name.into(),
            clock,
            channels,
            parameters: Vec::new(),
            feedback: Vec::new(),
            ptime: Some(20),
            maxptime: None,
        }],
        rtcp_mux: true,
        extensions: Vec::new(),
        sources: Vec::new(),
        transport: Transport {
            ice: Some(IceCredentials {
                ufrag: client.credentials.ufrag.clone(),
                pwd: client.credentials.pass.clone(),
            }),
            dtls: Some(Dtls {
                hash: "sha-256".into(),
                fingerprint: identity.fingerprint.clone(),
                setup: Setup::Actpass,
            }),
            candidates: vec![Candidate {
                foundation: "1".into(),
                component: 1,
                priority: 2_130_706_431,
                ip: client.address.ip(),
                port: client.address.port(),
                kind: CandidateKind::Host,
                related: None,
                generation: 0,
            }],
        },
    };
    Description {
        streams: vec![stream],
        bundle: Vec::new(),
    }
}
