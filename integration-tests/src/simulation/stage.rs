//! What all parts of a run share: the clock, what is to happen, chance, the trace and the ledger.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use minidom::Element;
use tandem_b2bua::sip::hop::TransmitId;
use tandem_shared::bus::Incoming;

use super::plan::{Fault, Plan};
use super::random::Random;
use crate::model::Ledger;

/// One of the two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The XMPP side.
    Component,
    /// The SIP side.
    B2bua,
}

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// A user writes a message with this number.
    UserWrites(u32),
    /// A SIP party writes a message with this number.
    PeerWrites(u32),
    /// A SIP party looks after its request: Timer E or F.
    PeerTimer(u32),
    /// The server reads a stanza of this stream.
    ToServer(u64, Box<Element>),
    /// The component reads a stanza of this stream.
    ToComponent(u64, Box<Element>),
    /// A datagram reaches the peer.
    ToPeer(Vec<u8>),
    /// A datagram reaches the b2bua.
    ToB2bua(Vec<u8>),
    /// A socket could not send.
    NotSent(u64, TransmitId),
    /// The bus of this link brings something.
    FromBus(Side, u64, Incoming),
    /// The rows of a round are on disk.
    Committed(Side, u64),
    /// What follows the rows of a round leaves the process.
    Perform(Side, u64),
    /// Something breaks.
    Fault(Fault),
    /// A process starts.
    Start(Side),
    /// The bus can be reached again.
    JoinBus,
    /// The server takes the component's stream again.
    OpenStream,
    /// Nothing goes wrong any more.
    Calm,
}

/// The stage.
pub(super) struct Stage {
    pub(super) now: Duration,
    pub(super) random: Random,
    pub(super) ledger: Ledger,
    pub(super) plan: Plan,
    /// Whether nothing goes wrong any more.
    pub(super) calm: bool,
    /// Until when the SIP network cannot be reached.
    pub(super) unreachable_until: Duration,
    pub(super) trace: Vec<String>,
    queue: BTreeMap<(Duration, u64), Happening>,
    scheduled: u64,
    start: Instant,
}

impl Stage {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            now: Duration::ZERO,
            random: Random::new(plan.seed ^ 0x5eed),
            ledger: Ledger::default(),
            plan,
            calm: false,
            unreachable_until: Duration::ZERO,
            trace: Vec::new(),
            queue: BTreeMap::new(),
            scheduled: 0,
            start: Instant::now(),
        }
    }

    /// Lets `happening` happen at `at`, after everything that was to happen then already.
    pub(super) fn at(&mut self, at: Duration, happening: Happening) {
        self.scheduled += 1;
        self.queue
            .insert((at.max(self.now), self.scheduled), happening);
    }

    /// Lets `happening` happen within `most`.
    pub(super) fn within(&mut self, most: Duration, happening: Happening) {
        let at = self.now + self.random.up_to(most);
        self.at(at, happening);
    }

    /// When something happens next.
    pub(super) fn next(&self) -> Option<Duration> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// What happens next.
    pub(super) fn pop(&mut self) -> Option<Happening> {
        let ((at, _), happening) = self.queue.pop_first()?;
        self.now = at;
        Some(happening)
    }

    /// A datagram on its way: late, twice or never.
    pub(super) fn datagram(&mut self, bytes: &[u8], to: fn(Vec<u8>) -> Happening) {
        if !self.calm && self.random.chance(self.plan.datagrams_lost) {
            return self.note("a datagram is lost");
        }
        self.within(NETWORK, to(bytes.to_vec()));
        if !self.calm && self.random.chance(self.plan.datagrams_copied) {
            self.within(NETWORK * 5, to(bytes.to_vec()));
        }
    }

    /// A line of the trace.
    pub(super) fn note(&mut self, line: &str) {
        self.trace
            .push(format!("{:>9.3} {line}", self.now.as_secs_f64()));
    }

    /// The time as deadlines see it.
    pub(super) fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// The time as people see it.
    pub(super) fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_785_585_600) + self.now
    }

    /// How far `instant` is from the start.
    pub(super) fn since_start(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }
}

/// How long a datagram takes.
const NETWORK: Duration = Duration::from_millis(200);
