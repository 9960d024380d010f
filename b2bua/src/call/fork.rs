//! A call from SIP for several users who share a number: all of them ring, one takes it.
//!
//! To the component it is a call of its own with each user, so that the bus and the component know
//! nothing of this. Here it is one call: what these branches say is heard as if one user said it, what
//! is said to the user goes to those it concerns. The first branch that takes the call has it, the
//! others are told that it was answered elsewhere; one that ends does no more than leave, until it was
//! the last: then the call ends for the best of their reasons. To a proxy one 603 ends all; of those who
//! share a number one need not speak for the others.

use std::collections::HashMap;

use tandem_shared::address::Address;
use tandem_shared::bus::SessionId;
use tandem_shared::call::{CallEvent, CallId, Describe, End, EndReason, Fact, Ready, Role};
use tandem_shared::event::Event as BusEvent;
use tandem_shared::media::Trickle;
use tandem_shared::mint::Mint;
use tandem_shared::pii::Pii;

/// All calls that have branches.
#[derive(Debug, Default)]
pub(super) struct Forks {
    forks: HashMap<CallId, Fork>,
    /// Of which call something is a branch.
    branches: HashMap<CallId, CallId>,
}

#[derive(Debug)]
struct Fork {
    branches: Vec<Branch>,
    /// The branch that took the call.
    taken: Option<CallId>,
    /// What is offered to devices, once the first one wanted it.
    offer: Option<Describe>,
}

#[derive(Debug)]
struct Branch {
    id: CallId,
    user: Address,
    /// Whether a device of it has our offer, or is to have it.
    described: bool,
    /// Candidates that came before its answer.
    trickles: Vec<Trickle>,
    /// How it ended.
    end: Option<End>,
}

/// Facts for the bus.
type Events = Vec<(SessionId, BusEvent)>;

impl Forks {
    /// The call `id` is for all these users.
    pub(super) fn open(&mut self, id: &CallId, users: Vec<Address>, mint: &mut Mint) {
        let branch = |user| {
            let branch = Branch {
                id: CallId::mint(mint),
                user,
                described: false,
                trickles: Vec::new(),
                end: None,
            };
            tracing::info!(call = %id, branch = %branch.id, to = %Pii(&branch.user),
                "a call for several users");
            self.branches.insert(branch.id.clone(), id.clone());
            branch
        };
        let fork = Fork {
            branches: users.into_iter().map(branch).collect(),
            taken: None,
            offer: None,
        };
        self.forks.insert(id.clone(), fork);
    }

    /// What a fact from the component is to the call it is about; what it means to other branches goes
    /// to `events`.
    pub(super) fn hear(&mut self, event: CallEvent, events: &mut Events) -> Vec<CallEvent> {
        let Some(id) = self.branches.get(&event.call).cloned() else {
            return vec![event];
        };
        let Some(fork) = self.forks.get_mut(&id) else {
            return Vec::new();
        };
        let facts = fork.hear(event, events);
        if facts.iter().any(|fact| matches!(fact, Fact::End(_))) {
            self.forget(&id);
        }
        let about = |fact| CallEvent {
            call: id.clone(),
            fact,
        };
        facts.into_iter().map(about).collect()
    }

    /// Gives what is told of calls with branches to the branches it concerns.
    pub(super) fn spread(&mut self, events: &mut Events) {
        if self.forks.is_empty() {
            return;
        }
        for (session, event) in std::mem::take(events) {
            let BusEvent::Call(told) = event else {
                events.push((session, event));
                continue;
            };
            let Some(fork) = self.forks.get_mut(&told.call) else {
                events.push((session, BusEvent::Call(told)));
                continue;
            };
            let CallEvent { call, fact } = *told;
            let is_end = matches!(fact, Fact::End(_));
            fork.say(&fact, events);
            if is_end {
                self.forget(&call);
            }
        }
    }

    /// How many calls have branches, and how many branches.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.forks.len(), self.branches.len())
    }

    fn forget(&mut self, id: &CallId) {
        if let Some(fork) = self.forks.remove(id) {
            for branch in fork.branches {
                self.branches.remove(&branch.id);
            }
        }
    }
}

impl Fork {
    fn hear(&mut self, event: CallEvent, events: &mut Events) -> Vec<Fact> {
        let CallEvent { call, fact } = event;
        if let Some(taken) = &self.taken {
            // Who was too late has been told so.
            return if *taken == call {
                vec![fact]
            } else {
                Vec::new()
            };
        }
        let mut open = self.branches.iter_mut().filter(|it| it.end.is_none());
        let Some(branch) = open.find(|branch| branch.id == call) else {
            return Vec::new();
        };
        match fact {
            Fact::Ringing => vec![Fact::Ringing],
            Fact::Ready(ready) => self.describe(&call, ready, events),
            Fact::Describe(describe) if describe.role == Role::Answer => {
                let trickles = std::mem::take(&mut branch.trickles);
                self.take(&call, events);
                let trickles = trickles.into_iter().map(Fact::Trickle);
                trickles.chain([Fact::Describe(describe)]).collect()
            }
            Fact::Trickle(trickle) => {
                if branch.trickles.len() < MAX_TRICKLES {
                    branch.trickles.push(trickle);
                }
                Vec::new()
            }
            Fact::End(end) => {
                tracing::info!(branch = %call, reason = ?end.reason, "one of several users is out");
                branch.end = Some(end);
                self.best_end().map(Fact::End).into_iter().collect()
            }
            // There is nothing yet to change, to hold or to press keys in.
            Fact::Offer(_) | Fact::Describe(_) | Fact::Hold(_) | Fact::Dtmf(_) | Fact::Unknown => {
                Vec::new()
            }
        }
    }

    /// A device wants our offer: to ring at all, or because its user took the call.
    fn describe(&mut self, id: &CallId, ready: Ready, events: &mut Events) -> Vec<Fact> {
        if ready.answered {
            self.take(id, events);
        }
        for branch in self.branches.iter_mut().filter(|branch| branch.id == *id) {
            branch.described = true;
        }
        let Some(offer) = &self.offer else {
            return vec![Fact::Ready(ready)];
        };
        // Every device hears the same: it is one place that sound goes to, whoever answers.
        events.push(told(id, Fact::Describe(Box::new(offer.clone()))));
        Vec::new()
    }

    /// A branch has the call.
    fn take(&mut self, id: &CallId, events: &mut Events) {
        tracing::info!(branch = %id, "one of several users takes the call");
        self.taken = Some(id.clone());
        for other in self.branches.iter().filter(|it| it.end.is_none()) {
            if other.id != *id {
                let end = End::new(EndReason::AnsweredElsewhere);
                events.push(told(&other.id, Fact::End(end)));
            }
        }
    }

    /// Says a fact of the call to the branches it concerns.
    fn say(&mut self, fact: &Fact, events: &mut Events) {
        if let Fact::Describe(describe) = fact
            && describe.role == Role::Offer
            && self.offer.is_none()
        {
            self.offer = Some(Describe::clone(describe));
        }
        let taken = self.taken.as_ref();
        let open = self.branches.iter().filter(|it| it.end.is_none());
        for branch in open {
            let concerns = match (taken, fact) {
                (Some(taken), _) => *taken == branch.id,
                (None, Fact::Offer(_) | Fact::End(_)) => true,
                (None, Fact::Describe(_) | Fact::Trickle(_)) => branch.described,
                (
                    None,
                    Fact::Ringing | Fact::Ready(_) | Fact::Hold(_) | Fact::Dtmf(_) | Fact::Unknown,
                ) => false,
            };
            if !concerns {
                continue;
            }
            let mut fact = fact.clone();
            if let Fact::Offer(offer) = &mut fact {
                offer.to.clone_from(&branch.user);
            }
            events.push(told(&branch.id, fact));
        }
    }

    /// Why the call ends, when all branches have.
    fn best_end(&self) -> Option<End> {
        let ends: Option<Vec<&End>> = self.branches.iter().map(|it| it.end.as_ref()).collect();
        let best = ends?.into_iter().min_by_key(|end| rank(end.reason))?;
        Some(best.clone())
    }
}

fn told(id: &CallId, fact: Fact) -> (SessionId, BusEvent) {
    let event = CallEvent {
        call: id.clone(),
        fact,
    };
    (SessionId::call(id), BusEvent::Call(Box::new(event)))
}

/// Which of several reasons a caller is told, lowest first: what a person does or did before what a
/// device or we did, and what may be other in a minute before what will not.
fn rank(reason: EndReason) -> u8 {
    match reason {
        EndReason::Busy => 0,
        EndReason::Declined => 1,
        EndReason::NoAnswer | EndReason::Success | EndReason::Cancelled => 2,
        EndReason::AnsweredElsewhere | EndReason::Replaced => 3,
        EndReason::ResourceConstraint => 4,
        EndReason::Unreachable | EndReason::Connectivity => 5,
        EndReason::UnsupportedMedia | EndReason::Security => 6,
        EndReason::Failed | EndReason::Unknown => 7,
        EndReason::Looped | EndReason::BadRequest => 8,
        EndReason::Forbidden | EndReason::Emergency => 9,
        EndReason::NotFound => 10,
    }
}

/// Groups of candidates kept of a device that has not answered.
const MAX_TRICKLES: usize = 32;
