//! `tandem-component`: the XMPP side of Tandem as a program.

use std::process::ExitCode;
use tandem_component::config::Config;
use tandem_component::shell::run::run;
use tandem_shared::cli::{self, Program};

/// Half of a message's cost is in small allocations, which this does in two thirds of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main(&Program::<Config> {
        name: "tandem-component",
        about: "Tandem's XMPP side: lets XMPP users message SIP addresses and telephone numbers.",
        log: |config| &config.log,
        run,
        perform: |_, none| match none {},
    })
}
