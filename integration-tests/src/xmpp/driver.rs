//! The Python process: requests and their answers, and the queues of what its sessions received.
//!
//! Invariant: the reading thread only fills the inbox; it ends with the process's output.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::Stanza;
use crate::bench::Bench;
use crate::process::Process;
use crate::program;
use crate::wait::{self, GENEROUS};

#[derive(Debug)]
pub(super) struct Driver {
    process: Mutex<Process>,
    input: Mutex<ChildStdin>,
    inbox: Arc<Mutex<Inbox>>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Inbox {
    answers: BTreeMap<u64, Value>,
    stanzas: BTreeMap<String, VecDeque<Stanza>>,
    ends: BTreeMap<String, String>,
}

impl Driver {
    pub(super) fn start(bench: &Bench) -> Result<Self> {
        let mut command = Command::new(program::find_python()?);
        command.arg(program::source_dir().join("py/driver.py"));
        let (process, input, output) = Process::start_dialogue(bench, "xmpp", command)?;
        let inbox = Arc::default();
        let filled = Arc::clone(&inbox);
        thread::spawn(move || fill(&filled, output));
        Ok(Self {
            process: Mutex::new(process),
            input: Mutex::new(input),
            inbox,
            next: AtomicU64::new(1),
        })
    }

    /// A name no session or query of this driver has had.
    pub(super) fn mint_name(&self) -> String {
        format!("t{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a request, and waits for its answer.
    pub(super) fn request(&self, mut request: Value) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        request["id"] = json!(id);
        writeln!(lock(&self.input), "{request}")?;
        let answer = wait::until(
            &format!("the driver's answer to {request}"),
            GENEROUS,
            || match lock(&self.inbox).answers.remove(&id) {
                Some(answer) => Ok(Some(answer)),
                None => self.check_alive().map(|()| None),
            },
        )?;
        if answer["ok"] != json!(true) {
            bail!(
                "{}",
                answer["error"].as_str().unwrap_or("the driver failed")
            );
        }
        Ok(answer)
    }

    pub(super) fn check_alive(&self) -> Result<()> {
        if lock(&self.process).has_ended()? {
            bail!("the XMPP driver has ended, see xmpp.log");
        }
        Ok(())
    }

    /// Takes the first stanza of `session` that satisfies `condition`.
    pub(super) fn take(
        &self,
        session: &str,
        condition: impl Fn(&Stanza) -> bool,
    ) -> Result<Option<Stanza>> {
        let mut inbox = lock(&self.inbox);
        let Some(queue) = inbox.stanzas.get_mut(session) else {
            return Ok(None);
        };
        let place = queue.iter().position(condition);
        Ok(place.and_then(|place| queue.remove(place)))
    }

    /// What `session` has received and nobody has taken.
    pub(super) fn waiting(&self, session: &str) -> Vec<Stanza> {
        lock(&self.inbox)
            .stanzas
            .get(session)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    pub(super) fn drain(&self, session: &str) -> Vec<Stanza> {
        lock(&self.inbox)
            .stanzas
            .remove(session)
            .into_iter()
            .flatten()
            .collect()
    }

    /// Why the stream of `session` ended, if it has.
    pub(super) fn end_of(&self, session: &str) -> Option<String> {
        lock(&self.inbox).ends.get(session).cloned()
    }
}

fn fill(inbox: &Mutex<Inbox>, output: ChildStdout) {
    for line in BufReader::new(output).lines() {
        let Ok(record) = line
            .map_err(anyhow::Error::from)
            .and_then(|line| Ok(serde_json::from_str::<Value>(&line)?))
        else {
            return;
        };
        let session = record["session"].as_str().unwrap_or_default().to_owned();
        let mut inbox = lock(inbox);
        if let Some(id) = record["id"].as_u64() {
            inbox.answers.insert(id, record);
        } else if record["event"] == json!("closed") {
            inbox.ends.insert(
                session,
                record["reason"].as_str().unwrap_or_default().to_owned(),
            );
        } else {
            let mut stanza = Stanza::from_json(&record["stanza"]);
            stanza.xml = record["xml"].as_str().unwrap_or_default().to_owned();
            inbox.stanzas.entry(session).or_default().push_back(stanza);
        }
    }
}

/// A test that panicked while holding the lock has failed already; its data are still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
