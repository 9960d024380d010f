//! The agent's sockets: threads that read UDP and TCP into one inbox.
//!
//! Invariant: dropping the wire frees its port; connections it accepted are closed.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use anyhow::{Context, Result};

use super::Message;

/// A message and the way back.
#[derive(Clone, Debug)]
pub struct Received {
    /// What came.
    pub message: Message,
    /// Where an answer goes: the datagram's source, or the connection.
    pub path: Path,
}

/// A way to send: a UDP destination or a TCP connection.
#[derive(Clone, Debug)]
pub struct Path {
    way: Way,
    source: SocketAddr,
    peer: SocketAddr,
}

#[derive(Clone, Debug)]
enum Way {
    Udp(Arc<UdpSocket>),
    Tcp(Arc<TcpStream>),
}

impl Path {
    /// Sends `bytes` as they are.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        match &self.way {
            Way::Udp(socket) => socket.send_to(bytes, self.peer).map(drop),
            Way::Tcp(stream) => stream.as_ref().write_all(bytes),
        }
        .with_context(|| format!("sending to {}", self.peer))
    }

    /// `UDP` or `TCP`, as in a Via.
    pub fn transport(&self) -> &'static str {
        match self.way {
            Way::Udp(_) => "UDP",
            Way::Tcp(_) => "TCP",
        }
    }

    pub(super) fn is_udp(&self) -> bool {
        matches!(self.way, Way::Udp(_))
    }

    /// The own address.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// The far address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Closes a TCP connection.
    pub fn close(&self) {
        if let Way::Tcp(stream) = &self.way {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Received {
    /// Answers a request.
    pub fn reply(&self, status: u16, reason: &str) -> Result<()> {
        self.reply_with(status, reason, &[])
    }

    /// Answers a request, with more header fields.
    pub fn reply_with(&self, status: u16, reason: &str, headers: &[(&str, &str)]) -> Result<()> {
        self.reply_as("agent", (status, reason), headers, "")
    }

    /// Answers a request, with a To tag of the caller's choice and a description unless it is empty.
    pub fn reply_as(
        &self,
        tag: &str,
        (status, reason): (u16, &str),
        headers: &[(&str, &str)],
        description: &str,
    ) -> Result<()> {
        let mut text = format!("SIP/2.0 {status} {reason}\r\n");
        // RFC 3261 §12.1.1: the proxies that want to stay on the way.
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in self.message.headers(name) {
                let is_new = name == "To" && status > 100 && !value.contains(";tag=");
                let tag = if is_new {
                    format!(";tag={tag}")
                } else {
                    String::new()
                };
                text.push_str(&format!("{name}: {value}{tag}\r\n"));
            }
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !description.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        let length = description.len();
        text.push_str(&format!("Content-Length: {length}\r\n\r\n{description}"));
        self.path.send(text.as_bytes())
    }
}

#[derive(Debug)]
pub(super) struct Wire {
    address: SocketAddr,
    udp: Arc<UdpSocket>,
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    inbox: Mutex<VecDeque<Received>>,
    connections: Mutex<Vec<Arc<TcpStream>>>,
    closed: AtomicBool,
}

impl Wire {
    pub(super) fn bind(address: &str) -> Result<Self> {
        let udp = Arc::new(UdpSocket::bind(address)?);
        let address = udp.local_addr()?;
        udp.set_read_timeout(Some(GLANCE))?;
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let state: Arc<State> = Arc::default();
        let threads = vec![
            thread::spawn({
                let (state, udp) = (Arc::clone(&state), Arc::clone(&udp));
                move || read_datagrams(&state, &udp, address)
            }),
            thread::spawn({
                let state = Arc::clone(&state);
                move || accept(&state, &listener, address)
            }),
        ];
        Ok(Self {
            address,
            udp,
            state,
            threads,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn udp_to(&self, peer: SocketAddr) -> Result<Path> {
        Ok(Path {
            way: Way::Udp(Arc::clone(&self.udp)),
            source: self.address,
            peer,
        })
    }

    pub(super) fn tcp_to(&self, peer: SocketAddr) -> Result<Path> {
        let stream = TcpStream::connect(peer).with_context(|| format!("connecting to {peer}"))?;
        Ok(adopt(&self.state, stream, self.address, peer))
    }

    pub(super) fn take(&self, condition: impl Fn(&Message) -> bool) -> Option<Received> {
        let mut inbox = lock(&self.state.inbox);
        let place = inbox
            .iter()
            .position(|received| condition(&received.message))?;
        inbox.remove(place)
    }

    pub(super) fn waiting(&self) -> Vec<Message> {
        lock(&self.state.inbox)
            .iter()
            .map(|received| received.message.clone())
            .collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to close.
            let _ = thread.join();
        }
        for connection in lock(&self.state.connections).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn read_datagrams(state: &State, udp: &Arc<UdpSocket>, source: SocketAddr) {
    let mut buffer = vec![0; 65_536];
    while !state.closed.load(Ordering::Relaxed) {
        // Time-outs, and errors an earlier datagram met, are nothing to a receiver.
        let Ok((length, peer)) = udp.recv_from(&mut buffer) else {
            continue;
        };
        let message = Message::from_datagram(buffer.get(..length).unwrap_or_default());
        let path = Path {
            way: Way::Udp(Arc::clone(udp)),
            source,
            peer,
        };
        lock(&state.inbox).push_back(Received { message, path });
    }
}

fn accept(state: &Arc<State>, listener: &TcpListener, source: SocketAddr) {
    while !state.closed.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, peer)) => drop(adopt(state, stream, source, peer)),
            Err(_) => sleep(GLANCE / 5),
        }
    }
}

/// Reads a connection from now on.
fn adopt(state: &Arc<State>, stream: TcpStream, source: SocketAddr, peer: SocketAddr) -> Path {
    let stream = Arc::new(stream);
    // An accepted socket may inherit the listener's mode; failing means that it is closed.
    let _ = stream.set_nonblocking(false);
    lock(&state.connections).push(Arc::clone(&stream));
    let path = Path {
        way: Way::Tcp(Arc::clone(&stream)),
        source,
        peer,
    };
    let (state, back) = (Arc::clone(state), path.clone());
    thread::spawn(move || read_stream(&state, &stream, &back));
    path
}

fn read_stream(state: &State, stream: &TcpStream, path: &Path) {
    let mut reader = stream;
    let mut pending = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => pending.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
        loop {
            // Keep-alive line ends between messages (RFC 5626 §3.5.1).
            let blank = pending
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            pending.drain(..blank);
            let Some((message, length)) = Message::split_first(&pending) else {
                break;
            };
            pending.drain(..length);
            lock(&state.inbox).push_back(Received {
                message,
                path: path.clone(),
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a reader looks before it checks whether to stop.
const GLANCE: Duration = Duration::from_millis(50);
