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
    check_level(&section.level).map_err(wrong)?;
    let filter = EnvFilter::try_new(&section.level).map_err(|error| wrong(error.to_string()))?;
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

/// Checks `[log] level`. A filter takes any word that is no level for the name of a module, of which
/// it then logs everything, and of all others nothing: whoever writes `Warning` would hear nothing.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn check_level(text: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let wrong = |part: &str| {
        format!(
            "{part:?} is no level; write error, warn, info, debug or trace, \
            or a filter as \"info,tandem_b2bua=debug\""
        )
    };
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            return Err(wrong(part));
        }
    }
    EnvFilter::try_new(text).map(drop).map_err(|_| wrong(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_named() {
        for good in [
            "error",
            "WARN",
            "off",
            "info,tandem_b2bua=debug",
            "info,tandem_b2bua::message=debug,tandem_b2bua::keepalive=trace",
        ] {
            assert_eq!(check_level(good), Ok(()), "{good}");
        }
        for (text, part) in [
            ("Warning", "Warning"),
            ("verbose", "verbose"),
            ("", ""),
            ("info,", ""),
            ("info,tandem_b2bua", "tandem_b2bua"),
            ("info,tandem_b2bua=debgu", "tandem_b2bua=debgu"),
            ("info,tandem_b2bua=", "tandem_b2bua="),
        ] {
            let error = check_level(text).unwrap_err();
            assert!(
                error.starts_with(&format!("{part:?} is no level; write error, warn")),
                "{error}"
            );
        }
    }
}
