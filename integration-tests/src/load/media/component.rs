//! Stands for the component on the bus: begins calls and hears what becomes of them.
//!
//! Invariant: heartbeats leave in time however busy the load is.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tandem_shared::bus::{Envelope, NodeId, SessionId, VERSION, frame};
use tandem_shared::call::{CallEvent, CallId, Fact};
use tandem_shared::event::{Control, Event, Hello};

use crate::wait::{self, GENEROUS};

/// A link to the b2bua.
#[derive(Debug)]
pub struct Component {
    writer: Arc<Mutex<UnixStream>>,
    facts: Receiver<(CallId, Fact)>,
}

impl Component {
    /// Dials the b2bua at `path` and agrees with whatever it says of the mapping.
    pub fn link(path: &Path) -> Result<Self> {
        let socket = wait::until("the bus", GENEROUS, || Ok(UnixStream::connect(path).ok()))?;
        let reader = socket.try_clone()?;
        let writer = Arc::new(Mutex::new(socket));
        let (told, facts) = channel();
        let (greeted, greetings) = channel();
        let answering = Arc::clone(&writer);
        thread::spawn(move || read(reader, &answering, &told, &greeted));
        let beating = Arc::clone(&writer);
        thread::spawn(move || {
            while say(
                &beating,
                SessionId::control(),
                Event::Control(Control::Heartbeat),
            )
            .is_ok()
            {
                thread::sleep(HEARTBEAT);
            }
        });
        let greeting = greetings.recv_timeout(GENEROUS);
        greeting.context("the b2bua does not greet")?;
        Ok(Self { writer, facts })
    }

    /// Says a fact about a call.
    pub fn tell(&self, call: &CallId, fact: Fact) -> Result<()> {
        let event = CallEvent {
            call: call.clone(),
            fact,
        };
        say(
            &self.writer,
            SessionId::call(call),
            Event::Call(Box::new(event)),
        )
    }

    /// The next fact that the b2bua says.
    pub fn hear(&self) -> Result<(CallId, Fact)> {
        let heard = self.facts.recv_timeout(GENEROUS);
        heard.context("the b2bua says nothing about a call")
    }
}

fn say(writer: &Mutex<UnixStream>, session: SessionId, event: Event) -> Result<()> {
    let envelope = Envelope {
        version: VERSION,
        from: NodeId("load".into()),
        to: NodeId::default(),
        epoch: 1,
        session,
        event,
    };
    let mut bytes = Vec::new();
    frame::encode(&envelope, &mut bytes)?;
    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(writer.write_all(&bytes)?)
}

fn read(
    mut reader: UnixStream,
    writer: &Mutex<UnixStream>,
    told: &Sender<(CallId, Fact)>,
    greeted: &Sender<()>,
) -> Result<()> {
    let (mut input, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match reader.read(&mut piece)? {
            0 => bail!("the b2bua hung up"),
            count => input.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
        while let Some((envelope, length)) = frame::decode(&input)? {
            input.drain(..length);
            match envelope.event {
                Event::Control(Control::Hello(hello)) => {
                    let hello = Hello {
                        answer: true,
                        ..hello
                    };
                    say(
                        writer,
                        SessionId::control(),
                        Event::Control(Control::Hello(hello)),
                    )?;
                    // Whoever waited for it may be gone.
                    let _ = greeted.send(());
                }
                Event::Call(event) => told.send((event.call, event.fact))?,
                Event::Account(_)
                | Event::Control(_)
                | Event::Message(_)
                | Event::MessageOutcome(_)
                | Event::Unknown(_) => {}
            }
        }
    }
}

/// A third of what the b2bua waits.
const HEARTBEAT: Duration = Duration::from_secs(5);
