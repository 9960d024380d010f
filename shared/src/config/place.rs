//! Where in a file something stands: a key, a table, or a row as `[[trunk]]`.
//!
//! Lines are found in the text, not by its grammar: they help whoever reads a complaint, and nothing
//! else follows from them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ConfigError;

/// A file and what stands where in it.
#[derive(Debug, Clone)]
pub struct Places {
    path: PathBuf,
    blocks: Vec<Block>,
}

/// A table or row: its keys, never their values, for some of them are secret.
#[derive(Debug, Clone)]
struct Block {
    table: String,
    line: usize,
    keys: Vec<(String, usize)>,
}

/// Where a row stands. What rows say does not depend on it, so all origins are equal.
#[derive(Clone, Default)]
pub struct Origin(Option<Arc<(PathBuf, Block)>>);

/// What is wrong with a configuration, and with which of its rows.
#[derive(Debug)]
pub struct Fault {
    /// What is wrong.
    pub error: ConfigError,
    /// The row; unknown where it is about no row.
    pub origin: Origin,
}

impl Places {
    /// Looks through the text of the file at `path`.
    #[must_use]
    pub fn new(path: &Path, text: &str) -> Self {
        let mut blocks = vec![Block {
            table: String::new(),
            line: 1,
            keys: Vec::new(),
        }];
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(table) = header(line) {
                blocks.push(Block {
                    table,
                    line: at + 1,
                    keys: Vec::new(),
                });
            } else if let (Some((key, _)), Some(block)) = (line.split_once('='), blocks.last_mut())
            {
                let key = key.trim().trim_matches('"');
                if is_key(key) {
                    block.keys.push((key.to_owned(), at + 1));
                }
            }
        }
        Self {
            path: path.to_owned(),
            blocks,
        }
    }

    /// Where the row `index` of `[[table]]` stands, counted from 0.
    #[must_use]
    pub fn row(&self, table: &str, index: usize) -> Origin {
        let block = self.block(table, index);
        Origin(block.map(|block| Arc::new((self.path.clone(), block.clone()))))
    }

    /// The line of what keys lead to, as `["trunk", "0", "match"]`: the key's own, else that of its table.
    pub(super) fn line(&self, keys: &[&str]) -> Option<usize> {
        let (table, rest) = keys.split_first()?;
        let (index, rest) = match rest.split_first() {
            Some((index, rest)) if index.parse::<usize>().is_ok() => (index.parse().ok()?, rest),
            Some(_) | None => (0, rest),
        };
        let block = self.block(table, index);
        let own = rest.first().and_then(|key| block?.line_of(key));
        // At the top: `mapping.domain = "..."`, or a key without a table.
        let dotted = rest.first().map(|key| format!("{table}.{key}"));
        let top = || {
            let top = self.blocks.first()?;
            top.line_of(dotted.as_deref().unwrap_or(table))
        };
        own.or_else(top).or(block.map(|block| block.line))
    }

    /// Whether a key stands above all tables.
    pub(super) fn is_at_top(&self, key: &str) -> bool {
        let top = self.blocks.first();
        top.is_some_and(|top| top.line_of(key).is_some())
    }

    fn block(&self, table: &str, index: usize) -> Option<&Block> {
        let mut blocks = self.blocks.iter().filter(|block| block.table == table);
        blocks.nth(index)
    }
}

impl Block {
    fn line_of(&self, key: &str) -> Option<usize> {
        let mut keys = self.keys.iter();
        keys.find(|(known, _)| known == key).map(|(_, line)| *line)
    }

    /// The line of the key that a complaint names first, else where the row begins.
    fn line_named(&self, words: &str) -> usize {
        // `number.jid` is about `jid`.
        let table = words.strip_prefix(&self.table);
        let words = table.and_then(|it| it.strip_prefix('.')).unwrap_or(words);
        // What stands between quotes is no key, but a value or an example.
        let plain: Vec<&str> = words.split('"').step_by(2).collect();
        let plain = plain.join(" ");
        let mut words = plain.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let named = words.find_map(|word| self.line_of(word));
        named.unwrap_or(self.line)
    }
}

/// The table that a line opens.
fn header(line: &str) -> Option<String> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    let inner = match inner.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => inner,
    };
    is_key(inner.trim()).then(|| inner.trim().to_owned())
}

fn is_key(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.chars().all(known)
}

impl Origin {
    /// What is wrong with this row.
    #[must_use]
    pub fn fault(&self, error: ConfigError) -> Fault {
        let origin = self.clone();
        Fault { error, origin }
    }

    /// The file and the line where it begins, for complaints about another row; nothing when unknown.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let (path, block) = &**self.0.as_ref()?;
        Some(format!("{}:{}", path.display(), block.line))
    }
}

impl Fault {
    /// The whole complaint; `path` is the file where nothing is known of a row.
    pub(super) fn explain(self, path: &Path) -> ConfigError {
        let ConfigError(words) = self.error;
        ConfigError(match &self.origin.0 {
            Some(spot) => {
                let (path, block) = &**spot;
                format!("{}:{}: {words}", path.display(), block.line_named(&words))
            }
            None => format!("{}: {words}", path.display()),
        })
    }
}

impl Fault {
    /// The same, for a configuration whose main file is known: what is about no row begins with its key,
    /// as `numbering.country`.
    pub(super) fn explain_in(self, main: &Places) -> ConfigError {
        let ConfigError(words) = &self.error;
        let key = words.split([':', ',', ' ']).next().unwrap_or_default();
        let keys: Vec<&str> = key.split('.').collect();
        match main.line(&keys).filter(|_| self.origin.0.is_none()) {
            Some(line) => ConfigError(format!("{}:{line}: {words}", main.path.display())),
            None => self.explain(&main.path),
        }
    }
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Origin::default().fault(error)
    }
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "mapping.domain = \"a\"\n[sip]\nt1_ms = 1 # [no]\n\n[[trunk]] # one\nname = \"x\"\n\
        match = [\n  \"*=\",\n]\n [[trunk]]\nname = \"password\"\nnext_hop = \"h\"\npassword = \"p\"\n";

    #[test]
    fn keys_are_found_in_their_own_row() {
        let places = Places::new(Path::new("x.toml"), TEXT);
        for (keys, line) in [
            (vec!["mapping", "domain"], Some(1)),
            (vec!["sip", "t1_ms"], Some(3)),
            (vec!["sip", "host"], Some(2)),
            (vec!["trunk", "0", "match", "0"], Some(7)),
            (vec!["trunk", "1", "name"], Some(11)),
            (vec!["trunk", "1"], Some(10)),
            (vec!["trunk", "2", "name"], None),
            (vec!["no"], None),
        ] {
            assert_eq!(places.line(&keys), line, "{keys:?}");
        }
    }

    #[test]
    fn a_complaint_about_a_row_names_its_file_and_the_key() {
        let places = Places::new(Path::new("conf.d/x.toml"), TEXT);
        let said = |index: usize, words: &str| {
            let fault = places
                .row("trunk", index)
                .fault(ConfigError(words.to_owned()));
            fault.explain(Path::new("b2bua.toml")).to_string()
        };
        assert_eq!(
            said(1, "trunk \"password\": next_hop: is bad"),
            "conf.d/x.toml:12: trunk \"password\": next_hop: is bad"
        );
        assert_eq!(
            said(1, "trunk \"name\": flows: x"),
            "conf.d/x.toml:10: trunk \"name\": flows: x"
        );
        assert_eq!(said(5, "trunk: x"), "b2bua.toml: trunk: x");
        assert!(!format!("{places:?}").contains("\"p\""));
    }
}
