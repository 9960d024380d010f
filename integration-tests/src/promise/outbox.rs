//! The component's outbox, read from a copy of its file.
//!
//! Invariant: the file itself is not touched; the copy is taken while the component is dead.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use rusqlite::Connection;
use serde_json::Value;

use crate::bench::Bench;

/// The ids, as their senders chose them, of all messages in the outbox of a component that is dead.
pub fn read(bench: &Bench) -> Result<BTreeSet<String>> {
    let copy = bench.path("outbox-copy.sqlite");
    for suffix in ["", "-wal", "-shm"] {
        let source = bench.path(&format!("component.sqlite{suffix}"));
        let target = bench.path(&format!("outbox-copy.sqlite{suffix}"));
        if source.exists() {
            fs::copy(&source, &target)?;
        } else if target.exists() {
            fs::remove_file(&target)?;
        }
    }
    let connection = Connection::open(copy)?;
    let mut statement = connection.prepare("SELECT row FROM outbox ORDER BY place")?;
    let mut rows = statement.query([])?;
    let mut ids = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let json: String = row.get(0)?;
        let row: Value = serde_json::from_str(&json)?;
        let id = row["message"]["wire_id"]
            .as_str()
            .context("a row without the sender's id")?;
        ids.insert(id.to_owned());
    }
    Ok(ids)
}
