//! Kamailio as registrar and proxy of `sip.test`: UDP and TCP 5060, TLS 5061.
//!
//! Its users register and send with digest. Requests for a domain of the gateway go to the gateway,
//! over UDP or TCP as they came. Every MESSAGE it lets pass, and every answer to one, is a line of
//! its log that is read back here.
//!
//! Invariant: a request is logged after its credentials were checked, so what was seen was allowed.

use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::certificates::{self, Certificate};
use crate::process::Process;
use crate::server::password_of;
use crate::{net, program, template};

/// The digest algorithm it challenges with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 2617.
    #[default]
    Md5,
    /// RFC 8760.
    Sha256,
}

impl Algorithm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }
}

/// What it is started with.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Its users; passwords are [`password_of`].
    pub users: &'a [&'a str],
    /// The challenge.
    pub algorithm: Algorithm,
    /// Where the gateway listens (`host:port`).
    pub gateway: &'a str,
    /// Whether requests from the gateway need credentials whatever their From.
    pub challenge_gateway: bool,
    /// Whether all phones of a user ring, not only the one that registered last.
    pub forks: bool,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            users: &["carol", "dave"],
            algorithm: Algorithm::Md5,
            gateway: GATEWAY,
            challenge_gateway: false,
            forks: false,
        }
    }
}

/// A MESSAGE it let pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Request-URI as it came.
    pub uri: String,
    /// URI of From.
    pub from: String,
    /// URI of To.
    pub to: String,
    /// Call-ID.
    pub call_id: String,
    /// Number of CSeq.
    pub cseq: u32,
    /// `udp:127.0.0.1:5070`.
    pub source: String,
    /// Content-Type.
    pub content_type: String,
    /// The body; bytes that are no UTF-8 are replaced.
    pub body: String,
}

/// An answer to a MESSAGE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Status code.
    pub status: u16,
    /// Call-ID.
    pub call_id: String,
    /// Number of CSeq.
    pub cseq: u32,
}

/// The running registrar.
#[derive(Debug)]
pub struct Kamailio {
    /// To kill or stop it, and to start it again; registrations are forgotten then.
    pub process: Process,
    /// What it shows on TLS.
    pub certificate: Certificate,
}

impl Kamailio {
    /// Starts it and waits until it answers.
    pub fn start(bench: &Bench, setup: Setup<'_>) -> Result<Self> {
        let directory = bench.make_dir("kamailio")?.display().to_string();
        let certificate = certificates::make(bench, &["sip.test", "localhost"])?;
        let tls = template::fill(
            include_str!("../peers/kamailio-tls.cfg"),
            &[
                ("KEY", &certificate.key.display().to_string()),
                ("CERT", &certificate.certificate.display().to_string()),
            ],
        )?;
        bench.write("kamailio/tls.cfg", &tls)?;
        let passwords: String = setup
            .users
            .iter()
            .map(|user| format!("  $sht(password=>{user}) = \"{}\";\n", password_of(user)))
            .collect();
        let (address, _) = setup
            .gateway
            .rsplit_once(':')
            .context("the gateway is host:port")?;
        let port = setup
            .gateway
            .trim_start_matches(address)
            .trim_start_matches(':');
        let challenge = match setup.challenge_gateway {
            // Over a stream it speaks from any port, and is known by its domain.
            true => format!("(($si==\"{address}\" && $sp=={port}) || $fd=~\"{DOMAINS}\")"),
            false => "1==0".to_owned(),
        };
        let listen = match net::has_ipv6() {
            true => format!("listen=udp:{ADDRESS_6}"),
            false => String::new(),
        };
        let config = template::fill(
            include_str!("../peers/kamailio.cfg"),
            &[
                ("DIR", &directory),
                ("PASSWORDS", &passwords),
                ("LISTEN", &listen),
                ("GATEWAY", setup.gateway),
                ("GATEWAY_DOMAINS", DOMAINS),
                ("CHALLENGE_GATEWAY", &challenge),
                // 4: a registration takes the place of others of its user.
                ("SAVE", if setup.forks { "0" } else { "4" }),
                ("ALGORITHM", setup.algorithm.name()),
            ],
        )?;
        let config = bench.write("kamailio/kamailio.cfg", &config)?;
        let mut command = Command::new(program::find("kamailio", PACKAGES)?);
        command
            .args(["-DD", "-E", "-m", "64", "-M", "8", "-Y", &directory, "-f"])
            .arg(config);
        let mut kamailio = Self {
            process: Process::start(bench, "kamailio", command)?,
            certificate,
        };
        kamailio.wait_ready()?;
        Ok(kamailio)
    }

    /// Starts it again after it was killed or stopped.
    pub fn start_again(&mut self) -> Result<()> {
        self.process.start_again()?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        self.process.wait_udp(5060)?;
        self.process.wait_tcp(ADDRESS)?;
        self.process.wait_tcp(TLS_ADDRESS)
    }

    /// Waits until `user` has registered.
    pub fn wait_registered(&mut self, user: &str) -> Result<()> {
        self.process
            .wait_log(&format!("tandem-registered user={user}"))
            .map(drop)
    }

    /// Waits until it has let a MESSAGE with this body pass.
    pub fn wait_passed(&mut self, body: &str) -> Result<Passed> {
        let wanted = |line: &str| parse_passed(line).filter(|passed| passed.body == body);
        self.process
            .wait_log_where(0, &format!("a MESSAGE saying {body:?}"), wanted)
    }

    /// Waits until the MESSAGE with this Call-ID has got a final answer, and returns the first.
    pub fn wait_answered(&mut self, call_id: &str) -> Result<Answered> {
        let wanted = |line: &str| {
            parse_answered(line).filter(|answer| answer.call_id == call_id && answer.status >= 200)
        };
        self.process
            .wait_log_where(0, &format!("an answer to {call_id}"), wanted)
    }

    /// All messages it has let pass; a retransmission is not counted again.
    pub fn passed(&self) -> Result<Vec<Passed>> {
        Ok(self
            .process
            .read_log()?
            .lines()
            .filter_map(parse_passed)
            .collect())
    }
}

fn parse_passed(line: &str) -> Option<Passed> {
    let (_, fields) = line.split_once("tandem-request ")?;
    Some(Passed {
        uri: field(fields, "uri")?.to_owned(),
        from: field(fields, "from")?.to_owned(),
        to: field(fields, "to")?.to_owned(),
        call_id: field(fields, "call_id")?.to_owned(),
        cseq: field(fields, "cseq")?.parse().ok()?,
        source: field(fields, "source")?.to_owned(),
        content_type: decode_hex(field(fields, "content_type")?),
        body: decode_hex(field(fields, "body")?),
    })
}

fn parse_answered(line: &str) -> Option<Answered> {
    let (_, fields) = line.split_once("tandem-response ")?;
    Some(Answered {
        status: field(fields, "status")?.parse().ok()?,
        call_id: field(fields, "call_id")?.to_owned(),
        cseq: field(fields, "cseq")?.parse().ok()?,
    })
}

/// The value of `key=value` among fields that are separated by single spaces.
fn field<'a>(fields: &'a str, key: &str) -> Option<&'a str> {
    fields
        .split(' ')
        .find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
}

fn decode_hex(text: &str) -> String {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .filter_map(|d| u8::try_from(d).ok())
        .collect();
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// UDP and TCP.
pub const ADDRESS: &str = "127.0.0.1:5060";
/// And on IPv6, where the test has it: [`net::add_ipv6`].
pub const ADDRESS_6: &str = "[fd77::1]:5060";
/// TLS.
pub const TLS_ADDRESS: &str = "127.0.0.1:5061";
/// Where it expects the gateway unless told otherwise.
pub const GATEWAY: &str = "127.0.0.1:5070";
/// The gateway's domain on either server.
const DOMAINS: &str = "^sip\\.(ejabberd\\.)?localhost$";
const PACKAGES: &str = "kamailio kamailio-tls-modules";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_log_line() {
        let line = " 1(12) INFO: <script>: tandem-request uri=sip:d@sip.test from=sip:c@sip.test to=sip:d@sip.test \
                    call_id=0 cseq=17 source=udp:10.77.0.1:5 content_type=746578742f706c61696e body=68c3a4";
        let passed = parse_passed(line).unwrap();
        assert_eq!(
            (
                passed.body.as_str(),
                passed.content_type.as_str(),
                passed.cseq
            ),
            ("hä", "text/plain", 17)
        );
    }
}
