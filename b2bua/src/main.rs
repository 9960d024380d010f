//! The SIP side of Tandem.

use std::io::Write as _;
use std::process::ExitCode;

use tandem_b2bua::admin::Ask;
use tandem_b2bua::config::Config;
use tandem_b2bua::shell::admin;
use tandem_shared::cli::{self, Program, Subcommand};

/// Half of a message's cost is in small allocations, which this does in two thirds of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the b2bua alone can be told; the running process answers.
#[derive(Debug, Subcommand)]
enum Command {
    /// Show every trunk: whether it answers, until when it is registered, how many calls it has.
    Trunks,
    /// Register at a trunk now.
    Register {
        /// The trunk's name.
        trunk: String,
    },
    /// Tell what would become of a call or message, step by step.
    RouteTest {
        /// A number, a SIP address or the JID of a contact.
        to: String,
        /// The user who would call or write.
        #[arg(long, value_name = "JID")]
        from: Option<String>,
    },
}

fn main() -> ExitCode {
    cli::main(&Program::<Config, Command> {
        name: "tandem-b2bua",
        about: "Tandem's SIP side: messages between a SIP network and the XMPP component",
        log: |config| &config.log,
        run: tandem_b2bua::shell::run::run,
        perform,
    })
}

fn perform(config: &Config, command: Command) -> anyhow::Result<()> {
    let ask = match command {
        Command::Trunks => Ask::Trunks,
        Command::Register { trunk } => Ask::Register { trunk },
        Command::RouteTest { to, from } => Ask::RouteTest { to, from },
    };
    let text = admin::ask(&config.admin_socket(), &ask)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
