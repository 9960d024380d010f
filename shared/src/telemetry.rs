//! Logs: readable lines or JSON, on standard error, never waiting for whoever reads them.

use crate::config::{LogFormat, LogSection};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Keeps the log writer alive; what is still queued is written when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Guard {
    _writer: WorkerGuard,
}

/// Starts logging for the whole process.
///
/// # Errors
/// When `[log] level` is no filter, or logging was started before.
pub fn start(section: &LogSection) -> Result<Guard, crate::config::ConfigError> {
    let wrong = |text: String| crate::config::ConfigError(format!("log.level: {text}"));
    let filter = EnvFilter::try_new(&section.level)
        .map_err(|error| wrong(format!("{error}; use error, warn, info, debug or trace")))?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .finish(std::io::stderr());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let started = match section.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| wrong(error.to_string()))?;
    Ok(Guard { _writer: guard })
}
