//! Reading a configuration: a TOML file, then the environment, then a check of every key.
//!
//! `TANDEM_<TABLE>__<KEY>` overrides a key of the file. Both processes may share one environment,
//! so variables for tables of the other process are passed over; `TANDEM_<TABLE>_<KEY>`, and any other
//! table that nobody knows, is an error that names the variable and what would be right. What both have
//! a table for, as `[store]`, is said to both.

mod explain;
mod place;
mod secret;
mod sections;
mod show;

pub use place::{Fault, Origin, Places};
pub use secret::Secret;
pub use sections::{BusSection, LogFormat, LogSection};
pub use show::show;

use explain::{explain, nearest};
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
    /// Tables that are called otherwise now, and what to write instead.
    const FORMER_TABLES: &'static [(&'static str, &'static str)] = &[];

    /// What files in `conf.d` beside the configuration may add; [`NoDropIns`] for nothing.
    type DropIn: DeserializeOwned + 'static;

    /// Notes where its rows stand; called before anything is absorbed.
    fn place(&mut self, _: &Places) {}

    /// Adds what such a file says, whose rows stand at `places`.
    fn absorb(&mut self, drop_in: Self::DropIn, places: &Places);

    /// Checks what types cannot: values that must fit each other, secrets in files.
    ///
    /// # Errors
    /// Names the key, the fix and the row.
    fn finish(self) -> Result<Self, Fault>;

    /// Looks at the files and directories it names, as the start would, and at what is of no use.
    ///
    /// # Errors
    /// Names the key, the fix and the row.
    fn examine(&self) -> Result<Findings, Fault> {
        Ok(Findings::default())
    }
}

/// What is odd about a configuration that can be used.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is of no use, or does something else than was meant.
    pub warnings: Vec<Fault>,
    /// What has to be there before the process starts, and may come later.
    pub missing: Vec<Fault>,
    /// The same, where the service manager sees to it.
    pub made: Vec<Fault>,
}

/// What [`Schema::examine`] finds in a configuration that was read from `path`: a line for each.
///
/// # Errors
/// As for [`load`]; where the process `starts` also for what is missing.
pub fn examine<S: Schema>(
    path: &Path,
    config: &S,
    starts: bool,
) -> Result<Vec<String>, ConfigError> {
    let found = config.examine().map_err(|fault| fault.explain(path))?;
    let missing = found.missing.into_iter();
    if starts {
        let mut all = missing.chain(found.made);
        if let Some(fault) = all.next() {
            return Err(fault.explain(path));
        }
        let lines = found.warnings.into_iter();
        return Ok(lines.map(|it| it.explain(path).to_string()).collect());
    }
    let lines = missing.chain(found.warnings);
    Ok(lines.map(|it| it.explain(path).to_string()).collect())
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
    let places = Places::new(path, text);
    config.place(&places);
    for (file, text) in drop_ins {
        check_toml(file, text)?;
        let figment = Figment::from(Toml::string(text));
        let drop_in = figment
            .extract()
            .map_err(|error| explain::<S>(file, text, &error))?;
        config.absorb(drop_in, &Places::new(file, text));
    }
    config.finish().map_err(|fault| fault.explain_in(&places))
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
        .map_err(|error| explain::<S>(path, text, &error))
}

fn in_tables(key: &str, tables: &[&str]) -> bool {
    let table = key.split("__").next().unwrap_or_default();
    tables.iter().any(|known| known.eq_ignore_ascii_case(table))
}

fn check_environment<S: Schema>() -> Result<(), ConfigError> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    check_names::<S>(names)
}

fn check_names<S: Schema>(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    for name in names {
        let Some(key) = name.strip_prefix("TANDEM_") else {
            continue;
        };
        if let Some((table, rest)) = key.split_once('_')
            && !rest.starts_with('_')
            && (in_tables(table, S::TABLES) || in_tables(table, S::FOREIGN_TABLES))
        {
            return Err(ConfigError(format!(
                "environment variable {name}: is not looked at; write two underscores behind the table: \
                TANDEM_{table}__{rest}"
            )));
        }
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

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests;
