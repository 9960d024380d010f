//! What is wrong with a key, in words of those who write configurations.

use std::path::Path;

use figment::error::{Actual, Kind};

use super::{ConfigError, Places, Schema};

/// One clear line for what figment found in `text`, the file at `path`, or in the environment.
pub(super) fn explain<S: Schema>(path: &Path, text: &str, error: &figment::Error) -> ConfigError {
    let mut keys: Vec<&str> = error.path.iter().map(String::as_str).collect();
    if let Kind::MissingField(field) = &error.kind {
        keys.push(field);
    } else if let Kind::UnknownField(field, _) = &error.kind
        && keys.last() != Some(&field.as_str())
    {
        // Some providers end the path with the unknown field, others with its table.
        keys.push(field);
    }
    let places = Places::new(path, text);
    let what = if let Kind::UnknownField(field, known) = &error.kind {
        unknown::<S>(&keys, field, known, &places)
    } else {
        words(&keys, &error.kind)
    };
    let from_env = error
        .metadata
        .as_ref()
        .is_some_and(|metadata| metadata.name.contains("environment"));
    if from_env {
        let key = keys.join(".");
        let name = key.to_uppercase().replace('.', "__");
        return ConfigError(format!("environment variable TANDEM_{name}: {key}: {what}"));
    }
    let place = match places.line(&keys) {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    };
    ConfigError(format!("{place}: {}: {what}", label(text, &keys)))
}

/// How keys are named: `trunk "provider": match`, where the row has a name, else `listen.address`.
fn label(text: &str, keys: &[&str]) -> String {
    let is_index = |key: &&&str| key.parse::<usize>().is_ok();
    let [table, index, rest @ ..] = keys else {
        return keys.join(".");
    };
    let rest: Vec<&str> = rest.iter().filter(|key| !is_index(key)).copied().collect();
    let row = index.parse::<usize>().ok();
    match row.map(|row| name(text, table, row)) {
        Some(Some(name)) => format!("{table} {name:?}: {}", rest.join(".")),
        Some(None) => [&[*table][..], &rest].concat().join("."),
        None => [&[*table, *index][..], &rest].concat().join("."),
    }
}

/// What the row `index` of `table` is called.
fn name(text: &str, table: &str, index: usize) -> Option<String> {
    let whole: toml::Table = toml::from_str(text).ok()?;
    let row = whole.get(table)?.as_array()?.get(index)?;
    let name = row.get("name").or_else(|| row.get("number"))?;
    name.as_str().map(str::to_owned)
}

/// What is said of a key that nobody knows.
fn unknown<S: Schema>(keys: &[&str], field: &str, known: &[&str], places: &Places) -> String {
    let mut former = S::FORMER_TABLES.iter();
    match former.find(|(name, _)| keys == [*name]) {
        Some((_, now)) => format!("unknown key; {now}"),
        None if keys.len() == 1 && places.is_at_top(field) => {
            "stands above all tables; write the line of its table before it, as [mapping]"
                .to_owned()
        }
        None if keys.len() == 1 && S::FOREIGN_TABLES.contains(&field) => {
            "unknown key; this table is for the configuration of the other process".to_owned()
        }
        None => format!("unknown key{}", nearest(field, known)),
    }
}

fn words(keys: &[&str], kind: &Kind) -> String {
    let last = keys.last().copied().unwrap_or_default();
    let secret = ["secret", "password", "key"];
    let secret = secret.iter().any(|word| last.ends_with(word));
    match kind {
        Kind::UnknownField(field, expected) => format!("unknown key{}", nearest(field, expected)),
        Kind::MissingField(_) => "this key is required and missing".to_owned(),
        Kind::UnknownVariant(word, expected) => {
            format!("{word:?} is not possible; write {}", one_of(expected))
        }
        Kind::InvalidType(Actual::Map, expected) if expected == "a sequence" => {
            format!("there may be several; write [[{last}]] with two brackets on each side")
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            let found = if secret {
                "that".to_owned()
            } else {
                value(found)
            };
            format!("{found} is not possible; write {}", wanted(expected))
        }
        Kind::Message(text) => message(text),
        Kind::InvalidLength(..)
        | Kind::DuplicateField(_)
        | Kind::ISizeOutOfRange(_)
        | Kind::USizeOutOfRange(_)
        | Kind::Unsupported(_)
        | Kind::UnsupportedKey(..) => kind.to_string(),
    }
}

/// `"a", "b" or "c"`.
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some(_) | None => quoted.join(""),
    }
}

/// What was found, as it may have been written.
fn value(found: &Actual) -> String {
    // "unsigned int `5`", "bool true", "string \"x\"".
    let shown = found.to_string();
    let texts = ["string ", "bool "];
    let text = texts.iter().find_map(|kind| shown.strip_prefix(kind));
    let number = || Some(shown.strip_suffix('`')?.rsplit_once('`')?.1);
    match (text.or_else(number), shown.as_str()) {
        (Some(inner), _) => inner.to_owned(),
        (None, "sequence") => "a list".to_owned(),
        (None, "map") => "a table".to_owned(),
        (None, other) => other.to_owned(),
    }
}

/// What serde expects, with an example.
fn wanted(expected: &str) -> String {
    let number = |most: &str| format!("a whole number from 0 to {most} without quotes, as 5");
    match expected {
        "u8" => number("255"),
        "u16" => number("65535"),
        "u32" | "u64" | "usize" => "a whole number, 0 or more, without quotes, as 30".to_owned(),
        "a boolean" => "true or false without quotes".to_owned(),
        "a string" => "a text in quotes, as \"...\"".to_owned(),
        "a sequence" => "a list, as [\"...\", \"...\"]".to_owned(),
        _ if expected.starts_with("struct ") => {
            "a table: a line with its name in brackets, and its keys below".to_owned()
        }
        other => other.to_owned(),
    }
}

/// What types of others say of texts they cannot read.
fn message(text: &str) -> String {
    match text {
        "invalid socket address syntax" => {
            "is no address with a port; write \"192.0.2.10:5060\" or \
            \"[2001:db8::10]:5060\", never a name"
                .to_owned()
        }
        "invalid IP address syntax" => {
            "is no address; write \"192.0.2.10\" or \"2001:db8::10\", never a name".to_owned()
        }
        other => other.to_owned(),
    }
}

/// "; did you mean ...?", or the list of what is valid.
pub(super) fn nearest(wrong: &str, valid: &[&str]) -> String {
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
