//! The database (SQLite): what must survive the process, written on a thread of its own.
//!
//! Each batch is one transaction. Answered requests are only ever appended, read at the start and
//! dropped from the old end, so their table has no index to keep up.

use std::path::Path;
use std::sync::mpsc;

use anyhow::Context as _;
use rusqlite::{Connection, params};
use tandem_shared::account::Account;
use tandem_shared::address::Address;
use tandem_shared::message::MessageId;
use tandem_shared::private;

use crate::account::row_id;
use crate::action::{Action, Key, Record};
use crate::config::Durability;
use crate::fingerprint::Fingerprint;
use crate::last_number::LastNumber;
use crate::policy::Approval;
use crate::policy::approval::Verdict;
use crate::sip::Status;

pub(super) mod seal;

use seal::{Contents, Sealer};

/// The way to the thread that writes.
#[derive(Debug)]
pub(super) struct Store {
    batches: mpsc::Sender<Vec<Action>>,
    done: tokio::sync::mpsc::UnboundedReceiver<bool>,
}

/// What was in the database.
#[derive(Debug)]
pub(super) struct Restored {
    /// The installation's key, made at its first start.
    pub(super) key: [u8; 16],
    /// The rows, oldest first.
    pub(super) rows: Vec<Record>,
    /// The rows of accounts that cannot be opened.
    pub(super) locked: Vec<u128>,
}

impl Store {
    /// Opens or makes the database at `path`, and starts the thread.
    /// What is to be sealed is not stored without a `sealer`.
    pub(super) fn open(
        path: &Path,
        durability: Durability,
        sealer: Option<Sealer>,
    ) -> anyhow::Result<(Self, Restored)> {
        let place = path.display().to_string();
        let database = open(path, durability)
            .with_context(|| format!("store.path {place}: cannot be opened"))?;
        let restored = restore(&database, sealer.as_ref())
            .with_context(|| format!("store.path {place}: cannot be read"))?;
        let seals = Seals {
            key: restored.key,
            sealer,
        };
        let (batches, received) = mpsc::channel::<Vec<Action>>();
        let (finished, done) = tokio::sync::mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                while let Ok(batch) = received.recv() {
                    // What was to be stored only spares a repeat after a restart; to send nothing
                    // because of a full disk would be worse.
                    let written = write(&database, &batch, &seals);
                    if let Err(error) = &written {
                        tracing::error!(%error, "the store cannot be written");
                    }
                    if finished.send(written.is_ok()).is_err() {
                        break;
                    }
                }
            })
            .context("the store's thread cannot be started")?;
        Ok((Self { batches, done }, restored))
    }

    /// Hands over a batch; [`Store::written`] tells when it is on disk.
    pub(super) fn write(&mut self, batch: Vec<Action>) {
        // The thread ends only with this.
        let _ = self.batches.send(batch);
    }

    /// Waits for the batch handed over last, and tells whether it is written. Cancel-safe.
    pub(super) async fn written(&mut self) -> bool {
        self.done.recv().await.unwrap_or(false)
    }
}

fn open(path: &Path, durability: Durability) -> anyhow::Result<Connection> {
    private::make_file(path)?;
    let database = Connection::open(path)?;
    // Shorter than the patience of admins, who are to read whether it was kept.
    database.busy_timeout(std::time::Duration::from_secs(3))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Process => "NORMAL",
        Durability::Power => "FULL",
    };
    database.pragma_update(None, "synchronous", synchronous)?;
    database.execute_batch(SCHEMA)?;
    Ok(database)
}

fn restore(database: &Connection, sealer: Option<&Sealer>) -> anyhow::Result<Restored> {
    let mut fresh = [0; 16];
    getrandom::fill(&mut fresh).context("no random numbers")?;
    database.execute(
        "INSERT OR IGNORE INTO installation (id, key) VALUES (0, ?1)",
        params![fresh],
    )?;
    let key = database.query_row("SELECT key FROM installation", [], |row| row.get(0))?;
    let mut rows = Vec::new();
    let mut answered =
        database.prepare("SELECT request, status, at FROM answered ORDER BY rowid")?;
    let mut found = answered.query([])?;
    while let Some(row) = found.next()? {
        let (request, status): ([u8; 16], u16) = (row.get(0)?, row.get(1)?);
        if let Some(status) = Status::new(status) {
            let request = Fingerprint(u128::from_le_bytes(request));
            rows.push(Record::Answered {
                request,
                status,
                at: row.get(2)?,
            });
        }
    }
    let mut spelling = database.prepare("SELECT folded, user FROM spelling ORDER BY rowid")?;
    let mut found = spelling.query([])?;
    while let Some(row) = found.next()? {
        rows.push(Record::Spelling {
            folded: row.get(0)?,
            user: row.get(1)?,
        });
    }
    let mut approval = database
        .prepare("SELECT id, user, host, verdict, wanted, said FROM approval ORDER BY id")?;
    let mut found = approval.query([])?;
    while let Some(row) = found.next()? {
        let verdict: String = row.get(3)?;
        if let Some(verdict) = Verdict::from_text(&verdict) {
            rows.push(Record::Approval(Box::new(Approval {
                id: row.get(0)?,
                user: Address {
                    user: row.get(1)?,
                    host: row.get(2)?,
                    device: None,
                },
                verdict,
                wanted: row.get(4)?,
                said: row.get::<_, Option<String>>(5)?.map(MessageId),
            })));
        }
    }
    let mut alias = database.prepare("SELECT pair FROM alias ORDER BY rowid")?;
    let mut found = alias.query([])?;
    while let Some(row) = found.next()? {
        rows.push(Record::Alias(u128::from_le_bytes(row.get(0)?)));
    }
    rows.extend(last_numbers(database)?);
    let (opened, locked) = accounts(database, sealer)?;
    rows.extend(opened);
    Ok(Restored { key, rows, locked })
}

fn last_numbers(database: &Connection) -> anyhow::Result<Vec<Record>> {
    let mut numbers = database.prepare("SELECT pair, number, trunk, day FROM last_number")?;
    let rows = numbers.query_map([], |row| {
        Ok(Record::LastNumber(LastNumber {
            pair: u128::from_le_bytes(row.get(0)?),
            number: row.get(1)?,
            trunk: row.get(2)?,
            day: row.get(3)?,
        }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The accounts that can be opened, and the rows of the others, which stay where they are.
fn accounts(
    database: &Connection,
    sealer: Option<&Sealer>,
) -> anyhow::Result<(Vec<Record>, Vec<u128>)> {
    let mut accounts = database.prepare("SELECT id, sealed FROM account ORDER BY rowid")?;
    let mut found = accounts.query([])?;
    let (mut rows, mut locked) = (Vec::new(), Vec::new());
    while let Some(row) = found.next()? {
        let (id, sealed): ([u8; 16], Vec<u8>) = (row.get(0)?, row.get(1)?);
        match sealer.and_then(|sealer| sealer.open(&id, &sealed)) {
            Some(Contents { user, account }) => rows.push(Record::Account {
                user,
                account: Box::new(account),
            }),
            None => locked.push(u128::from_le_bytes(id)),
        }
    }
    if !locked.is_empty() {
        tracing::error!(
            accounts = locked.len(),
            "accounts of users cannot be opened: accounts.key is missing, or not the one they were \
            stored with; they stay in the database until the right key is back"
        );
    }
    Ok((rows, locked))
}

/// What accounts are sealed with and found by.
struct Seals {
    key: [u8; 16],
    sealer: Option<Sealer>,
}

impl Seals {
    fn id(&self, user: &Address, address: &str) -> [u8; 16] {
        row_id(&self.key, user, address).to_le_bytes()
    }
}

fn store_account(
    database: &Connection,
    user: &Address,
    account: &Account,
    seals: &Seals,
) -> anyhow::Result<()> {
    let sealer = seals.sealer.as_ref().context("there is no accounts.key")?;
    let id = seals.id(user, &account.address);
    let (user, account) = (user.clone(), account.clone());
    let sealed = sealer.seal(&id, &Contents { user, account })?;
    database
        .prepare_cached("INSERT OR REPLACE INTO account (id, sealed) VALUES (?1, ?2)")?
        .execute(params![id, sealed])?;
    Ok(())
}

fn forget_account(database: &Connection, id: [u8; 16]) -> anyhow::Result<()> {
    database
        .prepare_cached("DELETE FROM account WHERE id = ?1")?
        .execute(params![id])?;
    Ok(())
}

fn write(database: &Connection, batch: &[Action], seals: &Seals) -> anyhow::Result<()> {
    let transaction = database.unchecked_transaction()?;
    for action in batch {
        match action {
            Action::Store(Record::Answered {
                request,
                status,
                at,
            }) => {
                let request = request.0.to_le_bytes();
                database
                    .prepare_cached(
                        "INSERT INTO answered (request, status, at) VALUES (?1, ?2, ?3)",
                    )?
                    .execute(params![request, status.code(), at])?;
            }
            Action::Store(Record::Spelling { folded, user }) => {
                database
                    .prepare_cached(
                        "INSERT OR REPLACE INTO spelling (folded, user) VALUES (?1, ?2)",
                    )?
                    .execute(params![folded, user])?;
            }
            Action::Forget(Key::AnsweredBefore(at)) => {
                database
                    .prepare_cached("DELETE FROM answered WHERE at < ?1")?
                    .execute(params![at])?;
            }
            Action::Forget(Key::Spelling(folded)) => {
                database
                    .prepare_cached("DELETE FROM spelling WHERE folded = ?1")?
                    .execute(params![folded])?;
            }
            Action::Store(Record::Account { user, account }) => {
                store_account(database, user, account, seals)?;
            }
            Action::Forget(Key::Account(user, address)) => {
                forget_account(database, seals.id(user, address))?;
            }
            Action::Forget(Key::LockedAccount(id)) => {
                forget_account(database, id.to_le_bytes())?;
            }
            Action::Store(Record::Approval(approval)) => {
                let Approval {
                    id,
                    user,
                    verdict,
                    wanted,
                    said,
                } = &**approval;
                let said = said.as_ref().map(|id| &id.0);
                let verdict = verdict.as_str();
                database
                    .prepare_cached(
                        "INSERT OR REPLACE INTO approval (id, user, host, verdict, wanted, said) \
                        VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .execute(params![id, user.user, user.host, verdict, wanted, said])?;
            }
            Action::Store(Record::Alias(pair)) => {
                database
                    .prepare_cached("INSERT OR IGNORE INTO alias (pair) VALUES (?1)")?
                    .execute(params![pair.to_le_bytes()])?;
            }
            Action::Forget(Key::Alias(pair)) => {
                database
                    .prepare_cached("DELETE FROM alias WHERE pair = ?1")?
                    .execute(params![pair.to_le_bytes()])?;
            }
            Action::Store(Record::LastNumber(row)) => {
                let LastNumber {
                    pair,
                    number,
                    trunk,
                    day,
                } = row;
                database
                    .prepare_cached(
                        "INSERT OR REPLACE INTO last_number (pair, number, trunk, day) \
                        VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![pair.to_le_bytes(), number, trunk, day])?;
            }
            Action::Forget(Key::LastNumber(pair)) => {
                database
                    .prepare_cached("DELETE FROM last_number WHERE pair = ?1")?
                    .execute(params![pair.to_le_bytes()])?;
            }
            Action::Forget(Key::Approval(id)) => {
                database
                    .prepare_cached("DELETE FROM approval WHERE id = ?1")?
                    .execute(params![id])?;
            }
            Action::Media(_)
            | Action::Resolve(_)
            | Action::Close(_)
            | Action::Transmit(_)
            | Action::Publish(_)
            | Action::CloseBus => {}
        }
    }
    Ok(transaction.commit()?)
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS installation (id INTEGER PRIMARY KEY, key BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS answered (request BLOB NOT NULL, status INTEGER NOT NULL, at INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS spelling (folded TEXT NOT NULL UNIQUE, user TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS account (id BLOB NOT NULL UNIQUE, sealed BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS approval (id INTEGER PRIMARY KEY, user TEXT NOT NULL, host TEXT NOT NULL,
        verdict TEXT NOT NULL, wanted TEXT NOT NULL, said TEXT);
    CREATE TABLE IF NOT EXISTS alias (pair BLOB NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS last_number (pair BLOB NOT NULL UNIQUE, number TEXT NOT NULL, trunk TEXT NOT NULL,
        day INTEGER NOT NULL);
";

#[cfg(test)]
mod tests;
