//! A program that is driven by JSON lines: requests and their answers, and events between them.
//!
//! Invariant: the reading thread only fills the inbox; it ends with the program's output.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::process::Process;
use crate::wait::{self, GENEROUS};

/// A running program and its inbox.
#[derive(Debug)]
pub(crate) struct Dialogue {
    process: Mutex<Process>,
    input: Mutex<ChildStdin>,
    inbox: Arc<Mutex<Inbox>>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Inbox {
    answers: BTreeMap<u64, Value>,
    /// By session.
    events: BTreeMap<String, VecDeque<Value>>,
}

impl Dialogue {
    pub(crate) fn start(bench: &Bench, name: &str, command: Command) -> Result<Self> {
        let (process, input, output) = Process::start_dialogue(bench, name, command)?;
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

    /// kill -9.
    pub(crate) fn kill(&self) -> Result<()> {
        lock(&self.process).kill_now()
    }

    /// A name no session or query of this program has had.
    pub(crate) fn mint_name(&self) -> String {
        format!("p{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a request, and waits for its answer.
    pub(crate) fn request(&self, mut request: Value) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        request["id"] = json!(id);
        writeln!(lock(&self.input), "{request}")?;
        let what = format!("the answer to {request}");
        let answer = wait::until(&what, GENEROUS, || {
            match lock(&self.inbox).answers.remove(&id) {
                Some(answer) => Ok(Some(answer)),
                None => self.check_alive().map(|()| None),
            }
        })?;
        if answer["ok"] != json!(true) {
            bail!("{}: {}", request["op"], answer["error"]);
        }
        Ok(answer)
    }

    /// Takes the first event of `session` from which `pick` makes a value.
    pub(crate) fn take<T>(
        &self,
        session: &str,
        pick: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let taken = lock(&self.inbox).events.get_mut(session).and_then(|queue| {
            let (place, value) = queue
                .iter()
                .enumerate()
                .find_map(|(place, event)| Some((place, pick(event)?)))?;
            queue.remove(place);
            Some(value)
        });
        match taken {
            Some(value) => Ok(Some(value)),
            None => self.check_alive().map(|()| None),
        }
    }

    /// What has come for `session` and nobody has taken.
    pub(crate) fn waiting(&self, session: &str) -> Vec<Value> {
        lock(&self.inbox)
            .events
            .get(session)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    fn check_alive(&self) -> Result<()> {
        let mut process = lock(&self.process);
        if process.has_ended()? {
            bail!("it has ended, see {}", process.log_path().display());
        }
        Ok(())
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
        let mut inbox = lock(inbox);
        match record["id"].as_u64() {
            Some(id) => {
                inbox.answers.insert(id, record);
            }
            None => {
                let session = record["session"].as_str().unwrap_or_default().to_owned();
                inbox.events.entry(session).or_default().push_back(record);
            }
        }
    }
}

/// A test that panicked while holding the lock has failed already; its data are still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
