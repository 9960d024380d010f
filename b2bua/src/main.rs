//! The SIP side of Tandem.

use std::process::ExitCode;

use tandem_b2bua::config::Config;
use tandem_shared::cli::{self, Program};

/// Half of a message's cost is in small allocations, which this does in two thirds of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main(&Program::<Config> {
        name: "tandem-b2bua",
        about: "Tandem's SIP side: messages between a SIP network and the XMPP component",
        log: |config| &config.log,
        run: tandem_b2bua::shell::run::run,
    })
}
