//! Who sends what to whom, and who dies when: all of it drawn from one seed.
//!
//! Invariant: a plan does not depend on anything that happens while it is carried out.

use std::time::Duration;

use super::chance::Chance;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// `tandem-component`.
    Component,
    /// `tandem-b2bua`.
    B2bua,
    /// Both of Tandem's processes at once, as when their machine resets.
    Both,
    /// The XMPP server.
    Server,
    /// The SIP peer.
    Phone,
}

/// Where messages are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Messages the XMPP users have sent.
    Written,
    /// Messages the gateway has taken charge of.
    Promised,
    /// Messages the SIP peer has answered.
    Answered,
    /// Messages the SIP peer has begun to send.
    Asked,
    /// Final responses the SIP peer has got.
    Told,
}

/// One death and the return.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Where messages are counted.
    pub place: Place,
    /// After how many of them it happens.
    pub count: usize,
    /// How much later still.
    pub linger: Duration,
    /// How long the victim stands still before it dies, with others' bytes in its sockets.
    pub frozen: Duration,
    /// How long it stays dead.
    pub down: Duration,
}

/// A message from XMPP.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Index of its sender in [`WRITERS`].
    pub writer: usize,
    /// Index of its recipient among the SIP peer's users.
    pub reader: usize,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Draws everything below, and stands in every text.
    pub seed: u64,
    /// Who dies.
    pub victim: Victim,
    /// When, in this order.
    pub points: Vec<Point>,
    /// Messages from XMPP; the number of each is its index.
    pub lines: Vec<Line>,
    /// How many messages each conversation from SIP has.
    pub calls: usize,
}

impl Plan {
    /// The run that `seed` decides for `victim`.
    pub fn draw(seed: u64, victim: Victim) -> Self {
        let mut chance = Chance::new(seed ^ (victim as u64) << 32);
        let mut points: Vec<Point> = [(10, 40), (55, 85)]
            .into_iter()
            .map(|counts| draw_point(&mut chance, counts))
            .collect();
        // What dies for long needs longer to return than the stream lasts, if it does so twice.
        if victim == Victim::Server {
            points.truncate(1);
        }
        let mut line = || Line {
            writer: usize::from(chance.draw().is_multiple_of(2)),
            reader: usize::try_from(chance.within(0, READERS as u64)).unwrap_or(0),
        };
        Self {
            seed,
            victim,
            points,
            lines: (0..LINES).map(|_| line()).collect(),
            calls: CALLS,
        }
    }

    /// The text of the message `number` from XMPP.
    pub fn line_text(&self, number: usize) -> String {
        format!("x {} {number}", self.seed)
    }

    /// Whether the SIP peer refuses the message `number` (`py/sip_phone.py` knows the same rule).
    pub fn refuses(&self, number: usize) -> bool {
        number % 23 == 5
    }

    /// The text of the message `number` of the conversation `call` from SIP.
    pub fn call_text(&self, call: usize, number: usize) -> String {
        format!("s {} {call} {number}", self.seed)
    }
}

fn draw_point(chance: &mut Chance, (low, high): (u64, u64)) -> Point {
    let places = [
        Place::Written,
        Place::Promised,
        Place::Answered,
        Place::Asked,
        Place::Told,
    ];
    let stands = chance.draw().is_multiple_of(2);
    Point {
        place: chance.pick(&places).unwrap_or(Place::Written),
        count: usize::try_from(chance.within(low, high)).unwrap_or(0),
        linger: Duration::from_micros(chance.within(0, 20_000)),
        frozen: Duration::from_millis(if stands { chance.within(50, 250) } else { 0 }),
        down: Duration::from_millis(chance.within(0, 300)),
    }
}

/// The XMPP users who send.
pub const WRITERS: [&str; 2] = ["alice", "bob"];
/// Conversations from SIP: who is meant. The second is never logged in while the stream runs, the
/// last does not exist.
pub const CALLED: [&str; 4] = ["juliet", "romeo", "alice", "nobody"];
/// How many of the SIP peer's users are written to.
pub const READERS: usize = 3;
/// Messages from XMPP in a run.
const LINES: usize = 150;
/// Messages of each conversation from SIP.
const CALLS: usize = 30;
