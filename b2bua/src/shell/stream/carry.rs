//! Carrying messages over a connection that stands.
//!
//! Reading and writing run side by side in one task, so that a peer that does not read us is still
//! read; either end of it ends the connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout, timeout_at};

use super::{Outgoing, Report, Shared, now};
use crate::shell::transport::Drops;
use crate::sip::frame::{Frame, Framer, PING};
use crate::sip::hop::Flow;

/// Reads and writes until the connection ends, or nothing whole came until its second instant.
pub(super) async fn carry<S: AsyncRead + AsyncWrite + Send + Unpin>(
    stream: S,
    (flow, first): (Flow, Option<Instant>),
    outgoing: &mut mpsc::Receiver<Outgoing>,
    own: &mpsc::WeakSender<Outgoing>,
    shared: &Shared,
) {
    let (reader, writer) = tokio::io::split(stream);
    let written = Written::default();
    tokio::select! {
        () = read(reader, (flow, first), own, &written, shared) => {}
        () = write(writer, outgoing, &written, shared) => {}
    }
}

async fn read<S: AsyncRead + Unpin>(
    mut reader: ReadHalf<S>,
    (flow, mut first): (Flow, Option<Instant>),
    own: &mpsc::WeakSender<Outgoing>,
    written: &Written,
    shared: &Shared,
) {
    let mut framer = Framer::default();
    let mut buffer = BytesMut::with_capacity(READ);
    let mut begun: Option<Instant> = None;
    let mut active = now();
    loop {
        let idle = first.unwrap_or_else(|| active.max(written.last()) + shared.limits.idle);
        let limit = begun.map_or(idle, |begun| begun + shared.limits.message);
        buffer.clear();
        match timeout_at(limit.into(), reader.read_buf(&mut buffer)).await {
            Ok(Ok(0)) => return,
            Ok(Err(error)) => return shared.broken(flow, &error),
            Ok(Ok(_)) => active = now(),
            Err(_) if begun.is_none() && first.is_none() && written.last() > active => {
                // Written to in the meantime: not idle.
                active = written.last();
                continue;
            }
            Err(_) => {
                if begun.is_some() || first.is_some() {
                    Drops::count(&shared.drops.slow);
                }
                return;
            }
        }
        framer.push(&buffer);
        if written.pinged.swap(false, Ordering::Relaxed) {
            framer.expect_pong();
        }
        while let Some(frame) = framer.next() {
            (begun, first) = (None, None);
            match frame {
                Frame::Message(bytes) => shared.report(Report::Packet { flow, bytes }).await,
                Frame::Ping => pong(own),
                Frame::Pong => shared.report(Report::Pong { flow }).await,
                Frame::Broken(bytes) => {
                    shared.report(Report::Packet { flow, bytes }).await;
                    // Time for the answer to leave; nothing more is read.
                    return sleep(shared.limits.write).await;
                }
            }
        }
        if framer.is_waiting() {
            // From here on we wait for the peer; time the core took to read is not its fault.
            begun.get_or_insert_with(now);
        }
    }
}

/// RFC 5626 §4.4.1; left out when the queue is full, since the peer does not read anyway.
pub(super) fn pong(own: &mpsc::WeakSender<Outgoing>) {
    if let Some(sender) = own.upgrade() {
        let _ = sender.try_send(Outgoing {
            id: None,
            bytes: Bytes::from_static(b"\r\n"),
        });
    }
}

async fn write<S: AsyncWrite + Unpin>(
    mut writer: WriteHalf<S>,
    outgoing: &mut mpsc::Receiver<Outgoing>,
    written: &Written,
    shared: &Shared,
) {
    let mut batch = BytesMut::new();
    while let Some(first) = outgoing.recv().await {
        batch.clear();
        written.note(&first.bytes);
        batch.extend_from_slice(&first.bytes);
        // One write for what has gathered; what stays queued is surely unwritten.
        while batch.len() < GATHER
            && let Ok(more) = outgoing.try_recv()
        {
            written.note(&more.bytes);
            batch.extend_from_slice(&more.bytes);
        }
        let all = async {
            writer.write_all(&batch).await?;
            writer.flush().await
        };
        match timeout(shared.limits.write, all).await {
            Ok(Ok(())) => *written.at() = now(),
            Ok(Err(_)) => return,
            Err(_) => return Drops::count(&shared.drops.slow),
        }
    }
}

/// What the reader has to know of the writer.
struct Written {
    at: Mutex<Instant>,
    /// A keep-alive of ours is on its way.
    pinged: AtomicBool,
}

impl Default for Written {
    fn default() -> Self {
        let (at, pinged) = (Mutex::new(now()), AtomicBool::new(false));
        Self { at, pinged }
    }
}

impl Written {
    fn at(&self) -> MutexGuard<'_, Instant> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> Instant {
        *self.at()
    }

    fn note(&self, bytes: &[u8]) {
        if bytes == PING {
            self.pinged.store(true, Ordering::Relaxed);
        }
    }
}

/// Bytes asked for with one read.
const READ: usize = 16 * 1024;
/// Bytes gathered for one write.
const GATHER: usize = 16 * 1024;
