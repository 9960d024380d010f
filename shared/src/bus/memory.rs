//! The bus inside one process: `memory:` (tests, simulation).

use super::{Bus, Envelope, Incoming, QUEUE, SendError};
use tokio::sync::mpsc;

/// One end of a pair.
#[derive(Debug)]
pub struct Memory {
    out: mpsc::Sender<Envelope>,
    incoming: mpsc::Receiver<Envelope>,
    announced: Announced,
}

#[derive(Debug, PartialEq, Eq)]
enum Announced {
    Nothing,
    Connected,
    Disconnected,
}

/// Two ends that reach each other. Dropping one, or closing it, disconnects the other for good.
#[must_use]
pub fn pair() -> (Memory, Memory) {
    let (a_out, b_in) = mpsc::channel(QUEUE);
    let (b_out, a_in) = mpsc::channel(QUEUE);
    let end = |out, incoming| Memory {
        out,
        incoming,
        announced: Announced::Nothing,
    };
    (end(a_out, a_in), end(b_out, b_in))
}

impl Bus for Memory {
    fn send(&mut self, envelope: &Envelope) -> Result<(), SendError> {
        self.out
            .try_send(envelope.clone())
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SendError::Full,
                mpsc::error::TrySendError::Closed(_) => SendError::NotConnected,
            })
    }

    fn room(&self) -> usize {
        if self.out.is_closed() {
            0
        } else {
            self.out.capacity()
        }
    }

    fn kick(&mut self) {}

    async fn flush(&mut self) {}

    async fn recv(&mut self, into: &mut Vec<Incoming>, max: usize) {
        match self.announced {
            Announced::Nothing => {
                self.announced = Announced::Connected;
                into.push(Incoming::Connected);
                return;
            }
            Announced::Disconnected => std::future::pending::<()>().await,
            Announced::Connected => {}
        }
        let Some(first) = self.incoming.recv().await else {
            self.announced = Announced::Disconnected;
            into.push(Incoming::Disconnected);
            return;
        };
        into.push(Incoming::Envelope(Box::new(first)));
        while into.len() < max
            && let Ok(next) = self.incoming.try_recv()
        {
            into.push(Incoming::Envelope(Box::new(next)));
        }
    }

    fn close(&mut self) {
        self.incoming.close();
        let (closed, _) = mpsc::channel(1);
        self.out = closed;
    }
}
