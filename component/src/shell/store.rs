//! What survives a restart, in SQLite, written on a thread of its own.
//!
//! A round's records are committed in one transaction before any later action of that round is
//! carried out. A commit that fails is tried again until it succeeds: meanwhile nothing is promised
//! to anybody, and the core refuses new messages once it holds too many.

use crate::action::{Action, Key, Record};
use crate::call::closing::Open;
use crate::config::{self, Durability};
use crate::message::outbox::Row;
use crate::presence::Pair;
use anyhow::Context;
use jid::BareJid;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::time::Duration;
use tandem_shared::message::MessageId;
use tandem_shared::private;
use tokio::sync::mpsc;

/// The layout this program writes.
const LAYOUT: i64 = 1;
/// Time between two tries of a commit that fails.
const RETRY: Duration = Duration::from_secs(1);

const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS outbox (place INTEGER PRIMARY KEY, row TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS pair (
        watcher TEXT NOT NULL, contact TEXT NOT NULL, PRIMARY KEY (watcher, contact)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS call (
        user TEXT NOT NULL, sid TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (user, sid)
    ) WITHOUT ROWID;
";

/// The running store.
#[derive(Debug)]
pub(super) struct Store {
    rounds: std::sync::mpsc::Sender<Vec<Action>>,
    done: mpsc::Receiver<Vec<Action>>,
}

impl Store {
    /// Opens the store and reads it.
    ///
    /// # Errors
    /// When the file cannot be used; the text names it and the fix.
    pub(super) fn open(config: &config::Store) -> anyhow::Result<(Self, Vec<Record>)> {
        let path = &config.path;
        let mut file = File::open(config).with_context(|| {
            format!(
                "store.path {}: the directory must exist and be writable by this user",
                path.display()
            )
        })?;
        let records = file.read()?;
        let (rounds, incoming) = std::sync::mpsc::channel::<Vec<Action>>();
        let (outgoing, done) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                while let Ok(round) = incoming.recv() {
                    while let Err(error) = file.commit(&round) {
                        tracing::error!(%error, "the store cannot be written; trying again");
                        std::thread::sleep(RETRY);
                    }
                    if outgoing.blocking_send(round).is_err() {
                        return;
                    }
                }
            })?;
        Ok((Self { rounds, done }, records))
    }

    /// Has the records of `round` committed; it comes back through [`Store::committed`].
    pub(super) fn commit(&self, round: Vec<Action>) {
        let _ = self.rounds.send(round);
    }

    /// The next round whose records are committed. Cancel-safe.
    pub(super) async fn committed(&mut self) -> Option<Vec<Action>> {
        self.done.recv().await
    }
}

/// Whether an action is the store's.
pub(super) fn is_record(action: &Action) -> bool {
    matches!(action, Action::Store(_) | Action::Forget(_))
}

#[derive(Debug)]
struct File {
    connection: Connection,
    places: HashMap<MessageId, i64>,
    last: i64,
}

impl File {
    fn open(config: &config::Store) -> anyhow::Result<Self> {
        private::make_file(&config.path)?;
        let connection = Connection::open(&config.path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let synchronous = match config.durability {
            Durability::Process => "NORMAL",
            Durability::Power => "FULL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        // One process, one store: a second one would send every message again.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        anyhow::ensure!(
            layout <= LAYOUT,
            "it was written by a newer Tandem (layout {layout}, this program knows {LAYOUT})"
        );
        connection.execute_batch(CREATE)?;
        connection.pragma_update(None, "user_version", LAYOUT)?;
        let last = connection
            .query_row("SELECT max(place) FROM outbox", [], |row| row.get(0))
            .optional()?
            .flatten()
            .unwrap_or(0);
        Ok(Self {
            connection,
            places: HashMap::new(),
            last,
        })
    }

    fn read(&mut self) -> anyhow::Result<Vec<Record>> {
        let mut records = Vec::new();
        let mut outbox = self
            .connection
            .prepare("SELECT place, row FROM outbox ORDER BY place")?;
        let mut rows = outbox.query([])?;
        while let Some(row) = rows.next()? {
            let (place, json): (i64, String) = (row.get(0)?, row.get(1)?);
            match serde_json::from_str::<Row>(&json) {
                Ok(row) => {
                    self.places.insert(row.message.id.clone(), place);
                    records.push(Record::Message(Box::new(row)));
                }
                Err(error) => {
                    tracing::error!(place, %error, "an outbox row cannot be read; it is kept in the file and not sent")
                }
            }
        }
        let mut pairs = self
            .connection
            .prepare("SELECT watcher, contact FROM pair")?;
        let mut rows = pairs.query([])?;
        while let Some(row) = rows.next()? {
            let (watcher, contact): (String, String) = (row.get(0)?, row.get(1)?);
            if let (Ok(watcher), Ok(contact)) = (BareJid::new(&watcher), BareJid::new(&contact)) {
                records.push(Record::Pair(Pair { watcher, contact }));
            }
        }
        let mut calls = self.connection.prepare("SELECT row FROM call")?;
        let mut rows = calls.query([])?;
        while let Some(row) = rows.next()? {
            let json: String = row.get(0)?;
            match serde_json::from_str::<Open>(&json) {
                Ok(open) => records.push(Record::Call(Box::new(open))),
                Err(error) => tracing::error!(%error, "a call's row cannot be read; it stays open"),
            }
        }
        Ok(records)
    }

    fn commit(&mut self, round: &[Action]) -> anyhow::Result<()> {
        let Self {
            connection,
            places,
            last,
        } = self;
        let transaction = connection.transaction()?;
        let mut insert =
            transaction.prepare_cached("INSERT INTO outbox (place, row) VALUES (?1, ?2)")?;
        let mut ended = Vec::new();
        for action in round {
            match action {
                Action::Store(Record::Message(row)) => {
                    *last += 1;
                    places.insert(row.message.id.clone(), *last);
                    insert.execute(params![*last, serde_json::to_string(row)?])?;
                }
                Action::Forget(Key::Message(id)) => ended.extend(places.get(id)),
                Action::Store(Record::Pair(pair)) => {
                    transaction
                        .prepare_cached(
                            "INSERT OR IGNORE INTO pair (watcher, contact) VALUES (?1, ?2)",
                        )?
                        .execute([pair.watcher.as_str(), pair.contact.as_str()])?;
                }
                Action::Forget(Key::Pair(pair)) => {
                    transaction
                        .prepare_cached("DELETE FROM pair WHERE watcher = ?1 AND contact = ?2")?
                        .execute([pair.watcher.as_str(), pair.contact.as_str()])?;
                }
                Action::Store(Record::Call(open)) => {
                    let user = open.user.to_bare();
                    transaction
                        .prepare_cached(
                            "INSERT OR REPLACE INTO call (user, sid, row) VALUES (?1, ?2, ?3)",
                        )?
                        .execute([user.as_str(), &open.sid, &serde_json::to_string(open)?])?;
                }
                Action::Forget(Key::Call(key)) => {
                    transaction
                        .prepare_cached("DELETE FROM call WHERE user = ?1 AND sid = ?2")?
                        .execute([key.user.as_str(), &key.sid])?;
                }
                Action::Send(_) | Action::Publish(_) | Action::CloseStream | Action::CloseBus => {}
            }
        }
        let mut delete =
            transaction.prepare_cached("DELETE FROM outbox WHERE place BETWEEN ?1 AND ?2")?;
        for (first, last) in ranges(ended) {
            delete.execute([first, last])?;
        }
        drop((insert, delete));
        transaction.commit()?;
        for action in round {
            if let Action::Forget(Key::Message(id)) = action {
                places.remove(id);
            }
        }
        Ok(())
    }
}

/// The ranges without gaps that `places` make up, first and last of each: under load messages end
/// nearly in the order they came, and one statement forgets many.
fn ranges(mut places: Vec<i64>) -> Vec<(i64, i64)> {
    places.sort_unstable();
    let chunks = places.chunk_by(|one, next| one + 1 >= *next);
    chunks
        .filter_map(|chunk| Some((*chunk.first()?, *chunk.last()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str) -> config::Store {
        let path =
            std::env::temp_dir().join(format!("tandem-{name}-{}.sqlite", std::process::id()));
        let _ = std::fs::remove_file(&path);
        config::Store {
            path,
            durability: Durability::Process,
        }
    }

    fn row(id: &str) -> Row {
        let json = format!(
            r#"{{"message":{{"id":"{id}","from":{{"user":"a","host":"b"}},"to":{{"user":"c","host":"d"}},
            "body":"x","hops":70,"ordinal":{{"epoch":1,"number":2}}}},"from":"a@b/r","to":"c@d"}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn rows_come_back_in_the_order_they_were_stored() {
        let config = config("order");
        let mut file = File::open(&config).unwrap();
        let store = |id: &str| Action::Store(Record::Message(Box::new(row(id))));
        file.commit(&[store("z"), store("a"), store("m")]).unwrap();
        file.commit(&[Action::Forget(Key::Message(MessageId("a".into())))])
            .unwrap();
        drop(file);
        let records = File::open(&config).unwrap().read().unwrap();
        assert_eq!(
            records,
            [
                Record::Message(Box::new(row("z"))),
                Record::Message(Box::new(row("m")))
            ]
        );
        std::fs::remove_file(&config.path).unwrap();
    }

    #[test]
    fn an_open_call_comes_back_as_it_was_last_and_once() {
        let config = config("call");
        let mut file = File::open(&config).unwrap();
        let open = |sid: &str, state: &str| {
            let json = format!(
                r#"{{"sid":"{sid}","contact":"+1@sip.b/sip","user":"a@b/c","state":{state}}}"#
            );
            serde_json::from_str::<Open>(&json).unwrap()
        };
        let store =
            |sid: &str, state: &str| Action::Store(Record::Call(Box::new(open(sid, state))));
        let first = [store("x", "\"proposing\""), store("y", "\"proposed\"")];
        file.commit(&first).unwrap();
        let active = r#"{"active":"proposed"}"#;
        let forget = Action::Forget(Key::Call(open("y", active).key()));
        file.commit(&[store("x", active), forget]).unwrap();
        drop(file);
        let records = File::open(&config).unwrap().read().unwrap();
        assert_eq!(records, [Record::Call(Box::new(open("x", active)))]);
        std::fs::remove_file(&config.path).unwrap();
    }

    #[test]
    fn only_what_ended_is_forgotten() {
        assert_eq!(ranges(vec![]), []);
        assert_eq!(ranges(vec![7, 3, 1, 2, 9, 8, 5]), [(1, 3), (5, 5), (7, 9)]);
    }

    #[test]
    fn a_file_of_a_newer_layout_is_left_alone() {
        let config = config("newer");
        let connection = Connection::open(&config.path).unwrap();
        connection
            .pragma_update(None, "user_version", LAYOUT + 1)
            .unwrap();
        drop(connection);
        assert!(format!("{:#}", File::open(&config).unwrap_err()).contains("newer"));
        std::fs::remove_file(&config.path).unwrap();
    }
}
