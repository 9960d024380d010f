//! A component stream, from either side (XEP-0114 §3).
//!
//! Invariant: after the handshake the socket never blocks; what it does not take waits in `out`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail};
use sha1::{Digest, Sha1};

use super::splitter::{Part, Splitter};
use super::text::attribute;
use crate::wait::{self, GENEROUS};

/// One side of a stream that is open.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    splitter: Splitter,
    input: Vec<u8>,
    out: Vec<u8>,
    written: usize,
}

impl Stream {
    /// Attaches to a server as the component `domain`.
    pub fn attach(server: &str, domain: &str, secret: &str) -> Result<Self> {
        wait::until("a component stream", GENEROUS, || {
            // A server may hold an earlier stream of this name for a moment.
            Ok(Self::try_attach(server, domain, secret).ok())
        })
    }

    fn try_attach(server: &str, domain: &str, secret: &str) -> Result<Self> {
        let mut stream = Self::new(TcpStream::connect(server)?)?;
        let header = header("to", domain, "");
        stream.socket.write_all(header.as_bytes())?;
        let id = stream.await_part(|part| match part {
            Part::Opened(tag) => attribute(tag, "id").map(<[u8]>::to_vec),
            Part::Child(_) | Part::Closed => None,
        })?;
        let proof = Sha1::new().chain_update(id).chain_update(secret).finalize();
        let proof: String = proof.iter().map(|byte| format!("{byte:02x}")).collect();
        write!(stream.socket, "<handshake>{proof}</handshake>")?;
        stream.await_handshake()?;
        stream.unblock()
    }

    /// Lets a component in, whatever its secret.
    pub fn accept(listener: &TcpListener) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let socket = wait::until("a component", GENEROUS, || Ok(listener.accept().ok()))?;
        let mut stream = Self::new(socket.0)?;
        let domain = stream.await_part(|part| match part {
            Part::Opened(tag) => attribute(tag, "to").map(<[u8]>::to_vec),
            Part::Child(_) | Part::Closed => None,
        })?;
        let header = header("from", &String::from_utf8_lossy(&domain), " id='load'");
        stream.socket.write_all(header.as_bytes())?;
        stream.await_handshake()?;
        stream.socket.write_all(b"<handshake/>")?;
        stream.unblock()
    }

    /// Where to append stanzas; they leave with [`Stream::flush`].
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Whether stanzas wait for the socket.
    pub fn is_waiting(&self) -> bool {
        !self.out.is_empty()
    }

    /// Writes what the socket takes.
    pub fn flush(&mut self) -> Result<()> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("writing to the XMPP stream"),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads what there is and hands every whole stanza to `each`, with the place for answers.
    pub fn read(&mut self, mut each: impl FnMut(&[u8], &mut Vec<u8>)) -> Result<()> {
        loop {
            match self.socket.read(&mut self.input) {
                Ok(0) => bail!("the XMPP stream was closed"),
                Ok(read) => self
                    .splitter
                    .extend(self.input.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("reading the XMPP stream"),
            }
            while let Some(part) = self.splitter.next_part() {
                match part {
                    Part::Child(stanza) => each(stanza, &mut self.out),
                    Part::Opened(_) => {}
                    Part::Closed => bail!("the XMPP stream was closed"),
                }
            }
        }
    }

    fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(GENEROUS))?;
        Ok(Self {
            socket,
            splitter: Splitter::default(),
            input: vec![0; 128 * 1024],
            out: Vec::new(),
            written: 0,
        })
    }

    fn await_handshake(&mut self) -> Result<()> {
        self.await_part(|part| match part {
            Part::Child(child) => child.starts_with(b"<handshake").then_some(()),
            Part::Opened(_) | Part::Closed => None,
        })
    }

    fn await_part<T>(&mut self, pick: impl Fn(Part<'_>) -> Option<T>) -> Result<T> {
        loop {
            while let Some(part) = self.splitter.next_part() {
                if part == Part::Closed {
                    bail!("the stream was closed");
                }
                if let Some(value) = pick(part) {
                    return Ok(value);
                }
            }
            let read = self.socket.read(&mut self.input)?;
            if read == 0 {
                bail!("the stream was closed");
            }
            self.splitter
                .extend(self.input.get(..read).unwrap_or_default());
        }
    }

    fn unblock(self) -> Result<Self> {
        self.socket.set_nonblocking(true)?;
        Ok(self)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn header(direction: &str, domain: &str, more: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' {direction}='{domain}'{more}>"
    )
}
