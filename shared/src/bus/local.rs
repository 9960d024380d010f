//! The bus over a Unix socket: `local:`.
//!
//! The b2bua listens and the component dials; either may come first and either may come back at any
//! time. The socket has mode 0600 and only a peer of the same user (or root) is let in. What
//! [`Bus::flush`] has returned from has left this process: it survives its death.

use super::frame;
use super::{Bus, Envelope, Incoming, QUEUE, SendError};
use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// Bytes read ahead of the owner before the peer is made to wait.
const READ_AHEAD: usize = 4 * 1024 * 1024;
/// Bytes read with one system call, at least.
const READ: usize = 64 * 1024;
/// How long after a failed dial the next follows.
const REDIAL: Duration = Duration::from_millis(200);

/// One end of a local bus.
#[derive(Debug)]
pub struct Local {
    end: End,
    link: Option<Stream>,
    /// A lost link that the owner has not been told of.
    lost: bool,
}

#[derive(Debug)]
enum End {
    Listen(UnixListener),
    Dial(PathBuf),
}

#[derive(Debug)]
struct Stream {
    socket: UnixStream,
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    written: usize,
    /// Where each queued envelope ends in `output`.
    ends: VecDeque<usize>,
}

impl Local {
    /// Listens at `path`, replacing a socket nobody listens on any more.
    ///
    /// # Errors
    /// When another process listens there, something else than a socket is there, or the directory cannot be
    /// written.
    pub fn listen(path: &Path) -> io::Result<Self> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another process listens on this bus socket already",
            ));
        }
        let found = std::fs::symlink_metadata(path);
        if found.is_ok_and(|found| !found.file_type().is_socket()) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "what is there is no socket",
            ));
        }
        let fresh = path.with_extension(format!("new.{}", std::process::id()));
        let _ = std::fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh)?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&fresh, path)?;
        Ok(Self::new(End::Listen(listener)))
    }

    /// Will dial `path`, again and again until somebody listens there.
    #[must_use]
    pub fn dial(path: &Path) -> Self {
        Self::new(End::Dial(path.to_owned()))
    }

    fn new(end: End) -> Self {
        Self {
            end,
            link: None,
            lost: false,
        }
    }

    async fn connect(&self) -> Stream {
        loop {
            let socket = match &self.end {
                End::Listen(listener) => listener.accept().await.map(|(socket, _)| socket),
                End::Dial(path) => UnixStream::connect(path).await,
            };
            match socket {
                Ok(socket) if trusted(&socket) => return Stream::new(socket),
                Ok(_) => tracing::warn!("a process of another user was turned away from the bus"),
                Err(error) => {
                    tracing::trace!(%error, "no bus peer");
                    tokio::time::sleep(REDIAL).await;
                }
            }
        }
    }

    fn drop_link(&mut self) {
        self.lost |= self.link.take().is_some();
    }
}

impl Bus for Local {
    fn send(&mut self, envelope: &Envelope) -> Result<(), SendError> {
        let link = self.link.as_mut().ok_or(SendError::NotConnected)?;
        if link.ends.len() >= QUEUE {
            return Err(SendError::Full);
        }
        frame::encode(envelope, &mut link.output)?;
        link.ends.push_back(link.output.len());
        Ok(())
    }

    fn room(&self) -> usize {
        self.link
            .as_ref()
            .map_or(0, |link| QUEUE.saturating_sub(link.ends.len()))
    }

    fn kick(&mut self) {
        if self.link.as_mut().is_some_and(|link| link.write().is_err()) {
            self.drop_link();
        }
    }

    async fn flush(&mut self) {
        while let Some(link) = &mut self.link {
            match link.write() {
                Ok(true) => return,
                Ok(false) => {
                    // The peer may itself be waiting for us to read before it reads.
                    let reading = link.unread() < READ_AHEAD;
                    let ready = tokio::select! {
                        writable = link.socket.writable() => writable.map(|()| false),
                        readable = link.socket.readable(), if reading => readable.map(|()| true),
                    };
                    let read = match ready {
                        Ok(true) => link.read(),
                        Ok(false) => Ok(true),
                        Err(error) => Err(error),
                    };
                    if !matches!(read, Ok(true)) {
                        self.drop_link();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "bus link lost while writing");
                    self.drop_link();
                }
            }
        }
    }

    async fn recv(&mut self, into: &mut Vec<Incoming>, max: usize) {
        if std::mem::take(&mut self.lost) {
            into.push(Incoming::Disconnected);
            return;
        }
        let Some(link) = &mut self.link else {
            self.link = Some(self.connect().await);
            into.push(Incoming::Connected);
            return;
        };
        loop {
            let before = into.len();
            if let Err(error) = link.take(into, max) {
                tracing::error!(%error, "the bus peer does not speak our protocol; link closed");
                break;
            }
            if into.len() > before {
                return;
            }
            let ready = tokio::select! {
                readable = link.socket.readable() => readable.map(|()| true),
                writable = link.socket.writable(), if !link.ends.is_empty() => writable.map(|()| false),
            };
            let alive = match ready {
                Ok(true) => link.read(),
                Ok(false) => link.write().map(|_| true),
                Err(error) => Err(error),
            };
            match alive {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::debug!(%error, "bus link lost");
                    break;
                }
            }
        }
        self.link = None;
        into.push(Incoming::Disconnected);
    }

    fn close(&mut self) {
        self.drop_link();
    }
}

impl Stream {
    fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            written: 0,
            ends: VecDeque::new(),
        }
    }

    fn unread(&self) -> usize {
        self.input.len() - self.taken
    }

    /// Reads what is there; false at the end of the stream.
    fn read(&mut self) -> io::Result<bool> {
        if self.taken > 0 {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
        self.input.reserve(READ);
        let read = match self.socket.try_read_buf(&mut self.input) {
            Ok(read) => Some(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => return Err(error),
        };
        Ok(read != Some(0))
    }

    /// Writes what can be; true when nothing is left.
    fn write(&mut self) -> io::Result<bool> {
        while let Some(rest) = self
            .output
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            match self.socket.try_write(rest) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.forget_written();
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        self.ends.clear();
        Ok(true)
    }

    fn forget_written(&mut self) {
        while self.ends.front().is_some_and(|end| *end <= self.written) {
            self.ends.pop_front();
        }
        self.output.drain(..self.written);
        for end in &mut self.ends {
            *end -= self.written;
        }
        self.written = 0;
    }

    /// Takes complete frames out of what was read.
    fn take(&mut self, into: &mut Vec<Incoming>, max: usize) -> Result<(), frame::FrameError> {
        while into.len() < max {
            let unread = self.input.get(self.taken..).unwrap_or_default();
            let Some((envelope, bytes)) = frame::decode(unread)? else {
                break;
            };
            self.taken += bytes;
            into.push(Incoming::Envelope(Box::new(envelope)));
        }
        Ok(())
    }
}

/// Whether the process at the other end runs as this user or as root.
fn trusted(socket: &UnixStream) -> bool {
    let own = std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own));
    match (socket.peer_cred(), own) {
        (Ok(peer), Ok(own)) => peer.uid() == own || peer.uid() == 0,
        _ => false,
    }
}
