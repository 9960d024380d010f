//! What a phone is started with, and the files that say so to baresip.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::server::password_of;
use crate::{kamailio, net, template};

/// How a phone reaches its registrar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    #[default]
    Udp,
    /// TCP.
    Tcp,
    /// TLS, with a certificate nobody checks.
    Tls,
}

/// A codec the phone offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Opus, 48 kHz.
    Opus,
    /// G.722, 16 kHz.
    G722,
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// How the phone protects its media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Plain RTP.
    #[default]
    None,
    /// Keys in SDP (RFC 4568), under the plain profile and only if the other end has them too.
    Offered,
    /// Keys in SDP, and no call without.
    Mandatory,
    /// Keys by DTLS (RFC 5764).
    Dtls,
}

/// What the phone does with a call that comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Rings until it is told to answer.
    #[default]
    Manual,
    /// Describes its media in a provisional response, but sends none before it is told to answer. Of such a
    /// call it tells nothing until then.
    Early,
    /// Answers at once.
    Auto,
}

/// What a phone is started with.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// 0 to 9; it decides the ports.
    pub index: u16,
    /// The user it registers; its password is [`password_of`].
    pub user: &'a str,
    /// Whom it may write to (SIP URIs).
    pub contacts: &'a [&'a str],
    /// How it reaches the registrar.
    pub transport: Transport,
    /// What it offers, best first.
    pub codecs: &'a [Codec],
    /// How it protects its media.
    pub encryption: Encryption,
    /// Whether it does ICE.
    pub ice: bool,
    /// The tone it sends, in Hz; `None` sends nothing.
    pub tone: Option<u32>,
    /// What it does with a call that comes.
    pub answer: Answer,
    /// Whether it is on IPv6, and its registrar with it, instead of IPv4.
    pub ipv6: bool,
    /// More parameters of its account, such as `;rtcp_mux=yes`.
    pub more: &'a str,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            index: 0,
            user: "carol",
            contacts: &[],
            transport: Transport::Udp,
            codecs: &[Codec::Pcma, Codec::Pcmu],
            encryption: Encryption::None,
            ice: false,
            tone: Some(440),
            answer: Answer::Manual,
            ipv6: false,
            more: "",
        }
    }
}

impl Setup<'_> {
    /// The name of the phone's log and directory.
    pub(super) fn name(&self) -> String {
        format!("baresip-{}", self.user)
    }

    /// Where it listens for SIP.
    pub(super) fn sip_port(&self) -> u16 {
        15_060 + 10 * self.index
    }

    /// Its own address, as URIs have it.
    pub(super) fn host(&self) -> String {
        match self.ipv6 {
            true => format!("[{}]", net::ADDRESS_6),
            false => net::ADDRESS.to_owned(),
        }
    }

    /// Where it takes commands.
    pub(super) fn control_port(&self) -> u16 {
        4_440 + self.index
    }

    /// Writes the directory that baresip is started with.
    pub(super) fn write(&self, bench: &Bench, modules: &Path) -> Result<()> {
        ensure!(self.index < 10, "phones are numbered 0 to 9");
        let name = self.name();
        let recordings = bench.make_dir(&format!("{name}/{RECORDINGS}"))?;
        let media = 10_000 + 100 * self.index;
        let source = match self.tone {
            Some(hertz) => format!("ausine,{hertz}"),
            None => "aubridge,nowhere".to_owned(),
        };
        let config = template::fill(
            include_str!("../../peers/baresip.config"),
            &[
                ("HOST", &self.host()),
                ("SIP_PORT", &self.sip_port().to_string()),
                ("CONTROL_PORT", &self.control_port().to_string()),
                ("RTP_PORTS", &format!("{media}-{}", media + 98)),
                ("SOURCE", &source),
                ("RECORDINGS", &recordings.display().to_string()),
                ("MODULES", &modules.display().to_string()),
            ],
        )?;
        bench.write(&format!("{name}/config"), &config)?;
        bench.write(&format!("{name}/accounts"), &self.account())?;
        let list: String = self
            .contacts
            .iter()
            .map(|uri| format!("\"Peer\" <{uri}>\n"))
            .collect();
        bench.write(&format!("{name}/contacts"), &list)?;
        Ok(())
    }

    fn account(&self) -> String {
        let user = self.user;
        let (transport, registrar) = match self.transport {
            Transport::Udp if self.ipv6 => ("udp", kamailio::ADDRESS_6),
            Transport::Udp => ("udp", kamailio::ADDRESS),
            Transport::Tcp => ("tcp", kamailio::ADDRESS),
            Transport::Tls => ("tls", kamailio::TLS_ADDRESS),
        };
        let codecs: Vec<&str> = self.codecs.iter().map(|codec| codec.name()).collect();
        let encryption = match self.encryption {
            Encryption::None => "",
            Encryption::Offered => ";mediaenc=srtp",
            Encryption::Mandatory => ";mediaenc=srtp-mand",
            Encryption::Dtls => ";mediaenc=dtls_srtp",
        };
        let answer = match self.answer {
            Answer::Manual => "manual",
            Answer::Early => "early",
            Answer::Auto => "auto",
        };
        format!(
            "<sip:{user}@sip.test;transport={transport}>;outbound=\"sip:{registrar};transport={transport}\";\
             auth_user={user};auth_pass={};regint=600;ptime=20;answermode={answer};audio_codecs={}{encryption}{}{}\n",
            password_of(user),
            codecs.join(","),
            if self.ice { ";medianat=ice" } else { "" },
            self.more
        )
    }
}

impl Codec {
    /// As baresip names it.
    fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus/48000/2",
            Self::G722 => "G722/16000/1",
            Self::Pcmu => "PCMU/8000/1",
            Self::Pcma => "PCMA/8000/1",
        }
    }
}

/// Where a phone puts what it hears, below its directory.
pub(super) const RECORDINGS: &str = "recordings";
