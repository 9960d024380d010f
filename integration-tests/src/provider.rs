//! A telephone provider: Kamailio as registrar and trunk of `provider.test`, in one or more nodes.
//!
//! Its customers register, or are let in by address. What they send goes to the network at
//! [`NETWORK`]; what comes from there goes to the customer that owns the number.

use std::process::Command;

use anyhow::Result;

use crate::bench::Bench;
use crate::certificates::Certificate;
use crate::kamailio::Algorithm;
use crate::process::Process;
use crate::server::password_of;
use crate::{net, program, template};

/// What a node is started with.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Its name in logs.
    pub name: &'a str,
    /// Its own address; ports are 5060.
    pub address: &'a str,
    /// Customers; passwords are [`password_of`].
    pub customers: &'a [&'a str],
    /// Numbers and the customers that own them.
    pub numbers: &'a [(&'a str, &'a str)],
    /// The challenge.
    pub algorithm: Algorithm,
    /// Whether requests of customers are challenged at all.
    pub challenges: bool,
    /// The shortest registration, in seconds.
    pub min_expires: u32,
    /// The longest one.
    pub max_expires: u32,
    /// Whether it refuses shorter ones (423) instead of granting more than was asked for.
    pub refuses_brief: bool,
    /// `Flow-Timer` for customers with outbound (RFC 5626), in seconds; 0 for none.
    pub flow_timer: u32,
    /// Whether a customer may have several flows, by [`crate::edge::Edge`]s (RFC 5626); else it has one contact.
    pub several_flows: bool,
    /// How long its nonces live, in seconds.
    pub nonce: u32,
    /// Whether customers are taken to be behind a NAT.
    pub fixes_nat: bool,
    /// Whether it listens for TLS at 5061, WebSocket at 8080 and both at 8443.
    pub secured: Option<Secured<'a>>,
}

/// What a node shows over TLS, and wants to see.
#[derive(Clone, Copy, Debug)]
pub struct Secured<'a> {
    /// Its certificate.
    pub certificate: &'a Certificate,
    /// The certificate customers must show, if any.
    pub customers: Option<&'a Certificate>,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            name: "provider",
            address: "127.0.0.11",
            customers: &["tandem"],
            numbers: &[("+15550001000", "tandem")],
            algorithm: Algorithm::Md5,
            challenges: true,
            min_expires: 0,
            max_expires: 3600,
            refuses_brief: false,
            flow_timer: 0,
            several_flows: false,
            nonce: 300,
            fixes_nat: false,
            secured: None,
        }
    }
}

impl Secured<'_> {
    /// Lines of its configuration: listeners, modules, and what it does with HTTP.
    fn write(&self, bench: &Bench, address: &str, directory: &str) -> Result<[String; 3]> {
        let wants = match self.customers {
            Some(customers) => format!(
                "verify_certificate = yes\nrequire_certificate = yes\nca_list = {}\n",
                customers.certificate.display()
            ),
            None => "verify_certificate = no\nrequire_certificate = no\n".to_owned(),
        };
        let tls = format!(
            "[server:default]\nmethod = TLSv1.2+\nprivate_key = {}\ncertificate = {}\n{wants}\
             [client:default]\nmethod = TLSv1.2+\nverify_certificate = no\n",
            self.certificate.key.display(),
            self.certificate.certificate.display()
        );
        bench.write(&format!("{directory}/tls.cfg"), &tls)?;
        let fill = |text| template::fill(text, &[("ADDRESS", address)]);
        let modules = template::fill(MODULES, &[("DIR", directory)])?;
        Ok([fill(LISTENERS)?, modules, ROUTE.to_owned()])
    }
}

/// A running node.
#[derive(Debug)]
pub struct Provider {
    /// To kill or stop it, and to start it again; registrations are forgotten then.
    pub process: Process,
    address: String,
}

impl Provider {
    /// Starts it and waits until it answers.
    pub fn start(bench: &Bench, setup: Setup<'_>) -> Result<Self> {
        let name = setup.name;
        let directory = bench.make_dir(name)?.display().to_string();
        let rows = setup.customers.iter().map(|user| {
            let password = password_of(user);
            format!("  $sht(password=>{user}) = \"{password}\";\n")
        });
        let numbers = setup
            .numbers
            .iter()
            .map(|(number, user)| format!("  $sht(number=>{number}) = \"{user}\";\n"));
        let passwords: String = rows.chain(numbers).collect();
        let (host, port) = NETWORK.rsplit_once(':').unwrap_or((NETWORK, "5060"));
        let secured = match &setup.secured {
            Some(secured) => secured.write(bench, setup.address, &directory)?,
            None => [const { String::new() }; 3],
        };
        let [listeners, modules, route] = &secured;
        let second = match net::has_ipv6() {
            true => template::fill(IPV6, &[("ADDRESS", net::ADDRESS_6)])?,
            false => String::new(),
        };
        let truth = |is: bool| if is { "1==1" } else { "1==0" };
        let config = template::fill(
            include_str!("../peers/provider.cfg"),
            &[
                ("ADDRESS", setup.address),
                ("PASSWORDS", &passwords),
                ("NETWORK", NETWORK),
                ("NETWORK_HOST", host),
                ("NETWORK_PORT", port),
                ("CHALLENGE", truth(setup.challenges)),
                ("FIX_NAT", truth(setup.fixes_nat)),
                ("MIN_EXPIRES", &setup.min_expires.to_string()),
                ("MAX_EXPIRES", &setup.max_expires.to_string()),
                ("REFUSES_BRIEF", if setup.refuses_brief { "1" } else { "0" }),
                ("FLOW_TIMER", &setup.flow_timer.to_string()),
                ("SAVE", if setup.several_flows { "0x00" } else { "0x04" }),
                ("FLOWS", truth(setup.several_flows)),
                ("NONCE", &setup.nonce.to_string()),
                ("SECURED_LISTENERS", &format!("{second}{listeners}")),
                ("SECURED_MODULES", modules),
                ("SECURED_ROUTE", route),
                ("ALGORITHM", setup.algorithm.name()),
            ],
        )?;
        let address = format!("{}:5060", setup.address);
        let process = run(bench, (name, &directory), &config, &address)?;
        Ok(Self { process, address })
    }

    /// Starts it again after it was killed or stopped.
    pub fn start_again(&mut self) -> Result<()> {
        self.process.start_again()?;
        self.process.wait_tcp(&self.address)
    }

    /// `host:port` of it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until `user` has registered, and returns the line about it.
    pub fn wait_registered(&mut self, user: &str) -> Result<String> {
        self.process
            .wait_log(&format!("provider-registered user={user}"))
    }

    /// The lines of its log that hold `words`.
    pub fn lines(&self, words: &str) -> Result<Vec<String>> {
        let log = self.process.read_log()?;
        let found = log.lines().filter(|line| line.contains(words));
        Ok(found.map(str::to_owned).collect())
    }
}

/// Runs a Kamailio with this configuration, in its directory, until it listens at `address`.
pub(crate) fn run(
    bench: &Bench,
    (name, directory): (&str, &str),
    config: &str,
    address: &str,
) -> Result<Process> {
    let config = bench.write(&format!("{name}/kamailio.cfg"), config)?;
    let mut command = Command::new(program::find("kamailio", PACKAGES)?);
    command
        .args(["-DD", "-E", "-m", "64", "-M", "8", "-Y", directory, "-f"])
        .arg(config);
    let mut process = Process::start(bench, name, command)?;
    process.wait_tcp(address)?;
    Ok(process)
}

/// Where the rest of the telephone network is.
pub const NETWORK: &str = "127.0.0.1:5090";
/// The path of its WebSocket.
pub const WS_PATH: &str = "/sip";
const LISTENERS: &str = "enable_tls=yes\nlisten=tls:@ADDRESS@:5061\nlisten=tcp:@ADDRESS@:8080\nlisten=tls:@ADDRESS@:8443\n";
/// Beside IPv4, once a test has [`net::ADDRESS_6`].
const IPV6: &str = "listen=udp:[@ADDRESS@]:5060\nlisten=tcp:[@ADDRESS@]:5060\n";
const MODULES: &str = "loadmodule \"tls.so\"\nloadmodule \"xhttp.so\"\nloadmodule \"websocket.so\"\n\
    modparam(\"tls\", \"config\", \"@DIR@/tls.cfg\")\n";
const ROUTE: &str = "event_route[xhttp:request] {\n  \
    if ($hu==\"/sip\" && ws_handle_handshake()) exit;\n  \
    xhttp_reply(\"404\", \"Not Found\", \"\", \"\");\n}\n";
const PACKAGES: &str =
    "kamailio kamailio-outbound-modules kamailio-tls-modules kamailio-websocket-modules";
