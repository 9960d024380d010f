//! The socket an admin's questions come by, and the client that asks them.
//!
//! One line of JSON each way, then the end. Only the user the process runs as, and root, can open it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tandem_shared::config::ConfigError;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::admin::{Answer, Ask};

/// A question, and where its answer goes.
pub(super) type Question = (Ask, oneshot::Sender<Answer>);

/// Listens at `path`; questions come out of the receiver.
///
/// # Errors
/// When something else than a socket is there, which would be replaced, or nothing can be made there.
pub(super) fn listen(path: &Path) -> anyhow::Result<mpsc::Receiver<Question>> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        let text = format!("{} is there and is no socket", path.display());
        return Err(ConfigError(text).into());
    }
    // As that of the bus: made beside and moved, so that it is never open to others.
    let fresh = path.with_extension(format!("new.{}", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, path)?;
    let (sender, questions) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(serve(stream, sender.clone()));
                }
                Err(error) => {
                    tracing::debug!(%error, "a question could not be accepted");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            }
        }
    });
    Ok(questions)
}

async fn serve(stream: UnixStream, questions: mpsc::Sender<Question>) {
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(reading.take(MAX_LINE));
    let Ok(Ok(_)) = timeout(PATIENCE, reader.read_line(&mut line)).await else {
        return;
    };
    let answer = match serde_json::from_str::<Ask>(&line) {
        Ok(ask) => {
            let (sender, answer) = oneshot::channel();
            said_in(PATIENCE, questions.send((ask, sender)), answer).await
        }
        Err(error) => Answer::no(format!("this is no question: {error}")),
    };
    if let Ok(mut text) = serde_json::to_vec(&answer) {
        text.push(b'\n');
        // Whoever asked may be gone.
        let _ = timeout(PATIENCE, writing.write_all(&text)).await;
    }
}

/// What the process says to a question that is handed over by `asked`, as far as it says anything in time.
async fn said_in<E>(
    patience: Duration,
    asked: impl Future<Output = Result<(), E>>,
    answer: oneshot::Receiver<Answer>,
) -> Answer {
    let answered = async {
        asked.await.ok()?;
        answer.await.ok()
    };
    match timeout(patience, answered).await {
        Ok(Some(answer)) => answer,
        Ok(None) => Answer::no("the process is ending; what was asked may still be done"),
        Err(_) => Answer::no("the process is busy; what was asked may still be done"),
    }
}

/// Asks the process that listens at `path`.
///
/// # Errors
/// When nobody answers there, or the answer is no.
pub fn ask(path: &Path, ask: &Ask) -> anyhow::Result<String> {
    said(answer(path, ask)?)
}

/// Registers at a trunk, and waits until it is known what became of it.
///
/// # Errors
/// When nobody answers, it is not registered, or nothing is known for too long.
pub fn register(path: &Path, trunk: &str) -> anyhow::Result<String> {
    let trunk = trunk.to_owned();
    let begin = Ask::Register {
        trunk: trunk.clone(),
    };
    ask(path, &begin)?;
    let look = Ask::Registration { trunk };
    let end = Instant::now() + OUTCOME;
    loop {
        let answer = answer(path, &look)?;
        if !answer.pending || Instant::now() >= end {
            return said(answer);
        }
        std::thread::sleep(LOOK);
    }
}

fn said(answer: Answer) -> anyhow::Result<String> {
    if !answer.ok {
        bail!("{}", answer.text.trim_end());
    }
    Ok(answer.text)
}

fn answer(path: &Path, ask: &Ask) -> anyhow::Result<Answer> {
    let mut stream = std::os::unix::net::UnixStream::connect(path).with_context(|| {
        format!(
            "{}: nobody answers; is tandem-b2bua running, and are you its user or root?",
            path.display()
        )
    })?;
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut answer)?;
    serde_json::from_str(&answer).context("no answer")
}

/// The longest question, in bytes, and the longest answer.
const MAX_LINE: u64 = 4096;
const MAX_ANSWER: u64 = 4 * 1024 * 1024;
/// How long either side may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a registration may take: a registrar that says nothing is given up after 32 s (Timer F).
const OUTCOME: Duration = Duration::from_secs(40);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Most questions that wait.
const WAITING: usize = 16;
const AFTER_ERROR: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// Who hears that the process ends does not ask again; one that is busy may have done it.
    #[tokio::test(start_paused = true)]
    async fn who_ends_is_not_taken_for_busy() {
        let asked = || std::future::ready(Ok::<(), ()>(()));
        let (sender, answer) = oneshot::channel();
        sender.send(Answer::ok("done")).unwrap();
        assert_eq!(said_in(PATIENCE, asked(), answer).await, Answer::ok("done"));
        let (sender, answer) = oneshot::channel();
        drop(sender);
        let said = said_in(PATIENCE, asked(), answer).await;
        assert!(!said.ok && said.text.contains("ending"), "{}", said.text);
        let (_sender, answer) = oneshot::channel();
        let said = said_in(PATIENCE, asked(), answer).await;
        assert!(!said.ok && said.text.contains("busy"), "{}", said.text);
        // Nor is there room for the question.
        let (_sender, answer) = oneshot::channel();
        let full = std::future::pending::<Result<(), ()>>();
        let said = said_in(PATIENCE, full, answer).await;
        assert!(said.text.contains("busy"), "{}", said.text);
    }

    #[tokio::test]
    async fn a_file_is_not_replaced_by_the_socket() {
        let name = format!("tandem-admin-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, "the database").unwrap();
        let error = listen(&path).unwrap_err();
        assert!(error.is::<ConfigError>(), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "the database");
        std::fs::remove_file(&path).unwrap();
        // That of a process that is gone is.
        drop(listen(&path).unwrap());
        drop(listen(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}
