//! Reading a configuration: a TOML file, then the environment, then a check of every key.
//!
//! `TANDEM_<TABLE>__<KEY>` overrides a key of the file. Both processes may share one environment,
//! so variables for tables of the other process are passed over; anything else that nobody knows is
//! an error that names the place and the nearest valid name.

mod secret;
mod sections;
mod show;

pub use secret::Secret;
pub use sections::{BusSection, LogFormat, LogSection};
pub use show::show;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::de::DeserializeOwned;
use std::path::Path;

/// Process exit code for a configuration that cannot be used (`EX_CONFIG` of sysexits).
pub const EXIT_CONFIG: u8 = 78;

/// Why a configuration cannot be used; its text names the file, the key and the fix.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// What a process's configuration is made of.
pub trait Schema: DeserializeOwned + 'static {
    /// The tables this process has.
    const TABLES: &'static [&'static str];
    /// The tables only the other process has.
    const FOREIGN_TABLES: &'static [&'static str];
    /// Where the file is unless the command line says otherwise.
    const DEFAULT_PATH: &'static str;

    /// What files in `conf.d` beside the configuration may add; [`NoDropIns`] for nothing.
    type DropIn: DeserializeOwned + 'static;

    /// Adds what such a file says.
    fn absorb(&mut self, drop_in: Self::DropIn);

    /// Checks what types cannot: values that must fit each other, secrets in files.
    ///
    /// # Errors
    /// Names the key and the fix.
    fn finish(self) -> Result<Self, ConfigError>;
}

/// For a process that reads no `conf.d`.
#[derive(Debug, serde::Deserialize)]
pub enum NoDropIns {}

/// Reads the configuration at `path` and what `conf.d` beside it adds, under the process's environment.
///
/// # Errors
/// One line that names the file or variable, the key, what is wrong and what would be right.
pub fn load<S: Schema>(path: &Path) -> Result<S, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError(format!(
            "{}: cannot be read: {error}; name another file with --config",
            path.display()
        ))
    })?;
    let mut texts = Vec::new();
    if std::any::TypeId::of::<S::DropIn>() != std::any::TypeId::of::<NoDropIns>() {
        for file in drop_ins(path)? {
            let text = std::fs::read_to_string(&file).map_err(|error| {
                ConfigError(format!("{}: cannot be read: {error}", file.display()))
            })?;
            texts.push((file, text));
        }
    }
    parse_all(path, &text, &texts)
}

/// As [`load`], for texts already read: the file at `path`, and each of `conf.d` with its path.
///
/// # Errors
/// As for [`load`].
pub fn parse_all<S: Schema>(
    path: &Path,
    text: &str,
    drop_ins: &[(std::path::PathBuf, String)],
) -> Result<S, ConfigError> {
    let mut config: S = read(path, text)?;
    for (file, text) in drop_ins {
        check_toml(file, text)?;
        let figment = Figment::from(Toml::string(text));
        let drop_in = figment
            .extract()
            .map_err(|error| explain(file, text, &error))?;
        config.absorb(drop_in);
    }
    finish(path, config)
}

/// The files of `conf.d` beside `path`, in the order of their names.
fn drop_ins(path: &Path) -> Result<Vec<std::path::PathBuf>, ConfigError> {
    let directory = path.parent().unwrap_or(Path::new(".")).join("conf.d");
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let place = directory.display();
            return Err(ConfigError(format!("{place}: cannot be read: {error}")));
        }
    };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> = files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    Ok(files)
}

fn check_toml(path: &Path, text: &str) -> Result<(), ConfigError> {
    let read = toml::from_str::<toml::Table>(text);
    read.map(drop).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        ConfigError(format!("{}:{line}: {}", path.display(), error.message()))
    })
}

fn finish<S: Schema>(path: &Path, config: S) -> Result<S, ConfigError> {
    config
        .finish()
        .map_err(|error| ConfigError(format!("{}: {error}", path.display())))
}

/// As [`load`], for text already read, without `conf.d`; the environment still applies.
///
/// # Errors
/// As for [`load`].
pub fn parse<S: Schema>(path: &Path, text: &str) -> Result<S, ConfigError> {
    parse_all(path, text, &[])
}

fn read<S: Schema>(path: &Path, text: &str) -> Result<S, ConfigError> {
    check_toml(path, text)?;
    check_environment::<S>()?;
    let tables = S::TABLES;
    let env = Env::prefixed("TANDEM_")
        .filter(move |key| in_tables(key.as_str(), tables))
        .split("__");
    let figment = Figment::from(Toml::string(text)).merge(env);
    figment
        .extract()
        .map_err(|error| explain(path, text, &error))
}

fn in_tables(key: &str, tables: &[&str]) -> bool {
    let table = key.split("__").next().unwrap_or_default();
    tables.iter().any(|known| known.eq_ignore_ascii_case(table))
}

fn check_environment<S: Schema>() -> Result<(), ConfigError> {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let Some(key) = name.strip_prefix("TANDEM_") else {
            continue;
        };
        if key.contains("__") && !in_tables(key, S::TABLES) && !in_tables(key, S::FOREIGN_TABLES) {
            let table = key.split("__").next().unwrap_or_default().to_lowercase();
            let all: Vec<&str> = S::TABLES.iter().chain(S::FOREIGN_TABLES).copied().collect();
            return Err(ConfigError(format!(
                "environment variable {name}: there is no table [{table}]{}",
                nearest(&table, &all)
            )));
        }
    }
    Ok(())
}

/// One clear line for what figment found.
fn explain(path: &Path, text: &str, error: &figment::Error) -> ConfigError {
    use figment::error::Kind;
    let keys: Vec<&str> = error.path.iter().map(String::as_str).collect();
    let from_env = error
        .metadata
        .as_ref()
        .is_some_and(|metadata| metadata.name.contains("environment"));
    let (key, what) = if let Kind::UnknownField(field, expected) = &error.kind {
        let mut key = keys.clone();
        // Some providers end the path with the unknown field, others with its table.
        if keys.last() != Some(&field.as_str()) {
            key.push(field);
        }
        (
            key.join("."),
            format!("unknown key{}", nearest(field, expected)),
        )
    } else if let Kind::MissingField(field) = &error.kind {
        let mut key = keys.clone();
        key.push(field);
        (key.join("."), "this key is required and missing".to_owned())
    } else {
        (keys.join("."), error.kind.to_string())
    };
    let place = if from_env {
        let name = key.to_uppercase().replace('.', "__");
        format!("environment variable TANDEM_{name}")
    } else {
        let last = key.rsplit('.').next().unwrap_or_default();
        match line_with_key(text, last) {
            Some(line) => format!("{}:{line}", path.display()),
            None => path.display().to_string(),
        }
    };
    ConfigError(format!("{place}: {key}: {what}"))
}

/// "; did you mean ...?", or the list of what is valid.
fn nearest(wrong: &str, valid: &[&str]) -> String {
    let best = valid
        .iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), *name))
        .min();
    match best {
        Some((distance, name)) if distance <= 3.max(wrong.len() / 3) => {
            format!("; did you mean \"{name}\"?")
        }
        _ if valid.is_empty() => String::new(),
        _ => format!("; valid are {}", valid.join(", ")),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

/// The only line that sets `key` or opens a table of that name, if there is just one.
fn line_with_key(text: &str, key: &str) -> Option<usize> {
    let sets = |line: &str| {
        let line = line.trim_start();
        let table = line.trim_start_matches('[');
        let rest = table.strip_prefix(key)?;
        let end = rest.trim_start().chars().next()?;
        (end == '=' || (end == ']' && table.len() < line.len())).then_some(())
    };
    let mut found = text
        .lines()
        .enumerate()
        .filter_map(|(at, line)| sets(line).map(|()| at + 1));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests;
