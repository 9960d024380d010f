//! The command line both processes have: `run`, `check`, `print-config`.

use crate::config::{self, ConfigError, EXIT_CONFIG, LogFormat, LogSection, Schema};
pub use clap::{Args, Subcommand};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Commands of a process that has none of its own.
#[derive(Debug, Subcommand)]
pub enum NoCommands {}

/// What one process is, to its command line; `X` are the commands it alone has.
#[derive(Debug)]
pub struct Program<C, X = NoCommands> {
    /// The binary's name.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// The configuration's `[log]`.
    pub log: fn(&C) -> &LogSection,
    /// Runs the process until it is told to end.
    pub run: fn(C) -> anyhow::Result<()>,
    /// Does what a command of its own says.
    pub perform: fn(&C, X) -> anyhow::Result<()>,
}

#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
struct Arguments<X: Subcommand> {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look, whatever the configuration says.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<Format>,
    #[command(subcommand)]
    command: Option<Command<X>>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command<X: Subcommand> {
    /// Run until told to end by SIGTERM or SIGINT (the default).
    Run,
    /// Check the configuration and say what is wrong with it.
    Check,
    /// Print the configuration as it takes effect, secrets masked.
    PrintConfig,
    #[command(flatten)]
    Own(X),
}

/// Reads the command line and does what it says.
///
/// Exit codes: 0 when ended in order, 78 for a configuration that cannot be used, 1 for everything
/// else, 2 for a wrong command line.
pub fn main<C: Schema + Serialize, X: Subcommand>(program: &Program<C, X>) -> ExitCode {
    let command = <Arguments<X> as clap::CommandFactory>::command();
    let file = format!("The configuration file; {} when left out", C::DEFAULT_PATH);
    let matches = command
        .name(program.name)
        .about(program.about)
        .mut_arg("config", |argument| argument.help(file))
        .get_matches();
    let arguments = <Arguments<X> as clap::FromArgMatches>::from_arg_matches(&matches);
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match perform(program, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{}: {error:#}", program.name);
            let code = if error.is::<ConfigError>() {
                EXIT_CONFIG
            } else {
                1
            };
            ExitCode::from(code)
        }
    }
}

fn perform<C: Schema + Serialize, X: Subcommand>(
    program: &Program<C, X>,
    arguments: Arguments<X>,
) -> anyhow::Result<()> {
    let path = arguments
        .config
        .unwrap_or_else(|| PathBuf::from(C::DEFAULT_PATH));
    let config: C = config::load(&path)?;
    match arguments.command.unwrap_or(Command::Run) {
        Command::Check => {
            for line in config::examine(&path, &config, false)? {
                writeln!(std::io::stderr(), "{}: warning: {line}", program.name)?;
            }
            writeln!(
                std::io::stdout(),
                "{}: the configuration is good",
                path.display()
            )?;
            Ok(())
        }
        Command::Own(command) => (program.perform)(&config, command),
        Command::PrintConfig => {
            std::io::stdout().write_all(config::show(&config)?.as_bytes())?;
            Ok(())
        }
        Command::Run => {
            let mut log = (program.log)(&config).clone();
            match arguments.log_format {
                Some(Format::Text) => log.format = LogFormat::Text,
                Some(Format::Json) => log.format = LogFormat::Json,
                None => {}
            }
            let _guard = crate::telemetry::start(&log)?;
            for what in config::examine(&path, &config, true)? {
                tracing::warn!(what, "the configuration is odd");
            }
            (program.run)(config)
        }
    }
}
