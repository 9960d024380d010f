//! What goes wrong in a run, and how much is said in it.

use std::time::Duration;

use super::random::Random;
use super::stage::Side;

/// One run, ready to be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything that is not written down here.
    pub seed: u64,
    /// Messages written in each direction.
    pub messages: u32,
    /// Datagrams lost, per mille.
    pub datagrams_lost: usize,
    /// Datagrams that come twice, per mille.
    pub datagrams_copied: usize,
    /// Envelopes the bus loses without breaking, per mille.
    pub envelopes_lost: usize,
    /// Requests that meet a peer that is not kind, per mille.
    pub unkind: usize,
    /// What breaks, and when.
    pub faults: Vec<(Duration, Fault)>,
    /// A bug that is planted, to see that it is caught.
    pub sabotage: Option<Sabotage>,
}

/// Something that breaks and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies where it stands.
    Kill(Side),
    /// The process dies right after its next commit, before anything of that round has left it.
    KillAfterCommit(Side),
    /// The bus breaks.
    CutBus,
    /// The XMPP stream breaks.
    CloseStream,
    /// The XMPP server stops answering for a while.
    Stall,
    /// The SIP network cannot be reached for a while.
    Unreachable,
}

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Every run of the component mints the same ids.
    SameIds,
    /// Two messages in flight have the same id.
    SharedId,
    /// The component's row is forgotten when the bus has the message, before its outcome.
    ForgetEarly,
    /// Envelopes overtake each other on the bus.
    Overtake,
    /// The component does not wait for the server before it says that a message arrived.
    ConfirmEarly,
}

/// How long messages are written and things break.
pub const BUSY: Duration = Duration::from_secs(90);

impl Plan {
    /// The plan of `seed`: a third of them are calm, the rest have up to six faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let calm = random.chance(300);
        let noise = |random: &mut Random, most| if calm { 0 } else { random.below(most) };
        let mut plan = Self {
            seed,
            messages: 10 + u32::try_from(random.below(20)).unwrap_or(0),
            datagrams_lost: noise(&mut random, 250),
            datagrams_copied: noise(&mut random, 150),
            envelopes_lost: 0,
            unkind: noise(&mut random, 500),
            faults: Vec::new(),
            sabotage: None,
        };
        if random.chance(200) {
            plan.envelopes_lost = noise(&mut random, 50);
        }
        let count = noise(&mut random, 7);
        for _ in 0..count {
            let fault = random.choose(&FAULTS).unwrap_or(Fault::CutBus);
            plan.faults.push((random.up_to(BUSY), fault));
        }
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    /// The same with a planted bug.
    #[must_use]
    pub fn with(mut self, sabotage: Sabotage) -> Self {
        self.sabotage = Some(sabotage);
        self
    }

    /// Whether a process is killed in it.
    #[must_use]
    pub fn kills(&self) -> usize {
        let kill = |fault: &Fault| matches!(fault, Fault::Kill(_) | Fault::KillAfterCommit(_));
        self.faults.iter().filter(|(_, fault)| kill(fault)).count()
    }

    /// Plans with one thing less.
    pub(super) fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        for at in 0..self.faults.len() {
            let mut plan = self.clone();
            plan.faults.remove(at);
            smaller.push(plan);
        }
        let calmer: [fn(&mut Self); 5] = [
            |plan| plan.messages = plan.messages.div_ceil(2),
            |plan| plan.datagrams_lost = 0,
            |plan| plan.datagrams_copied = 0,
            |plan| plan.envelopes_lost = 0,
            |plan| plan.unkind = 0,
        ];
        for calm in calmer {
            let mut plan = self.clone();
            calm(&mut plan);
            if plan != *self {
                smaller.push(plan);
            }
        }
        smaller
    }
}

const FAULTS: [(usize, Fault); 8] = [
    (2, Fault::Kill(Side::Component)),
    (2, Fault::Kill(Side::B2bua)),
    (2, Fault::KillAfterCommit(Side::Component)),
    (2, Fault::KillAfterCommit(Side::B2bua)),
    (2, Fault::CutBus),
    (2, Fault::CloseStream),
    (1, Fault::Stall),
    (1, Fault::Unreachable),
];
