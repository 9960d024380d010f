//! The ways a request may go, best first: trunks, and of each the places its name leads to
//! (RFC 3263 §4.3).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tandem_shared::address::Address;
use tandem_shared::mint::Mint;

use super::reach::{self, Shut};
use super::{States, Trunk, TrunkId, Trunks};
use crate::dns::{Dns, Located};
use crate::settings::Settings;
use crate::sip::Hop;
use crate::sip::endpoint::EndpointConfig;

/// The ways of one request that are left.
#[derive(Debug, Default)]
pub struct Ways {
    trunks: VecDeque<TrunkId>,
    /// Places of the first trunk.
    hops: VecDeque<Hop>,
    /// Why a trunk led only where it may not.
    shut: Option<Shut>,
    /// Whether the name of a trunk led nowhere.
    missed: bool,
}

/// Where to go now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Here, until [`Ways::pass`] or [`Ways::pass_trunk`].
    Go(TrunkId, Hop),
    /// A name is being asked for.
    Wait,
    /// Nowhere: there is no way left.
    End,
}

/// What ways are found with.
#[derive(Debug)]
pub struct Guide<'a> {
    /// All trunks.
    pub trunks: &'a Trunks,
    /// How others reach us.
    pub endpoint: &'a EndpointConfig,
    /// How they are.
    pub states: &'a States,
    /// Where names lead.
    pub dns: &'a mut Dns,
    /// For the share of each.
    pub mint: &'a mut Mint,
    /// The time.
    pub now: Instant,
}

impl<'a> Guide<'a> {
    /// By what is configured and known now.
    #[must_use]
    pub fn new(
        settings: &'a Settings,
        states: &'a States,
        dns: &'a mut Dns,
        mint: &'a mut Mint,
        now: Instant,
    ) -> Self {
        Self {
            trunks: &settings.trunks,
            endpoint: &settings.endpoint,
            states,
            dns,
            mint,
            now,
        }
    }

    /// Leaves out the places a trunk may not lead to; why, when none is left.
    fn keep_allowed(&self, id: TrunkId, hops: &mut Vec<Hop>) -> Option<Shut> {
        let trunk = self.trunks.get(id)?;
        let mut why = None;
        hops.retain(|hop| {
            let shut = reach::shut(trunk, hop, self.endpoint);
            why = why.or(shut);
            shut.is_none()
        });
        why.filter(|_| hops.is_empty())
    }

    /// Where a trunk keeps several flows, its requests take one that is alive (RFC 5626 §4.3); where it is
    /// a user's own, the one there is.
    fn prefer_flows(&self, id: TrunkId, hops: &mut [Hop]) {
        let trunk = self.trunks.get(id);
        let several = |trunk: &Trunk| trunk.register.as_ref().is_some_and(|it| it.flows > 1);
        // What comes back by a user's own account is let in from where that is registered.
        if trunk.is_some_and(|trunk| several(trunk) || trunk.owner.is_some()) {
            let alive = |hop: &Hop| self.states.registered_at(id).any(|flow| flow == hop);
            let failed = |hop: &Hop| self.dns.is_penalised(id.whose(), hop, self.now);
            hops.sort_by_key(|hop| (failed(hop), !alive(hop)));
        }
    }
}

impl Ways {
    /// The ways by `trunks`, which fit equally well: those that work first, then by priority, then
    /// by chance and weight.
    #[must_use]
    pub fn new(trunks: Vec<TrunkId>, guide: &mut Guide<'_>) -> Self {
        if let [only] = trunks.as_slice() {
            return Self::by(*only);
        }
        let rank = |id: &TrunkId| {
            let trunk = guide.trunks.get(*id);
            trunk.map_or((u16::MAX, 0), |trunk| (trunk.priority, trunk.weight))
        };
        let ordered = crate::dns::by_weight(trunks, rank, guide.mint);
        let (up, down): (Vec<_>, Vec<_>) =
            ordered.into_iter().partition(|id| guide.states.is_up(*id));
        Self {
            trunks: up.into_iter().chain(down).collect(),
            ..Self::default()
        }
    }

    /// The ways by one trunk.
    #[must_use]
    pub fn by(trunk: TrunkId) -> Self {
        Self {
            trunks: VecDeque::from([trunk]),
            ..Self::default()
        }
    }

    /// Asks `trunk` first, where it is one of them and works.
    pub fn prefer(&mut self, trunk: TrunkId, states: &States) {
        let at = self.trunks.iter().position(|id| *id == trunk);
        if let Some(at) = at.filter(|_| states.is_up(trunk))
            && let Some(id) = self.trunks.remove(at)
        {
            self.trunks.push_front(id);
        }
    }

    /// The best way that is left for a request to `contact`.
    pub fn step(&mut self, contact: &Address, guide: &mut Guide<'_>) -> Step {
        loop {
            let Some(&id) = self.trunks.front() else {
                return Step::End;
            };
            if let Some(hop) = self.hops.front() {
                return Step::Go(id, hop.clone());
            }
            let place = guide.trunks.get(id).map(|trunk| trunk.place(contact));
            match place {
                Some(Ok(place)) => {
                    match guide.dns.locate(id.whose(), &place, guide.mint, guide.now) {
                        Located::Wait => return Step::Wait,
                        Located::Hops(mut hops) => {
                            self.missed |= hops.is_empty();
                            self.shut = self.shut.or(guide.keep_allowed(id, &mut hops));
                            guide.prefer_flows(id, &mut hops);
                            self.hops = hops.into();
                            if self.hops.is_empty() {
                                self.pass_trunk();
                            }
                        }
                    }
                }
                Some(Err(_)) | None => {
                    self.pass_trunk();
                }
            }
        }
    }

    /// The trunks that are left, best first.
    pub fn trunks(&self) -> impl Iterator<Item = TrunkId> {
        self.trunks.iter().copied()
    }

    /// Gives up the place tried last; true when another way is left.
    pub fn pass(&mut self) -> bool {
        self.hops.pop_front();
        if self.hops.is_empty() {
            self.trunks.pop_front();
        }
        !self.trunks.is_empty()
    }

    /// Gives up the whole trunk tried last; true when another one is left.
    pub fn pass_trunk(&mut self) -> bool {
        self.hops.clear();
        self.trunks.pop_front();
        !self.trunks.is_empty()
    }

    /// Why a trunk led only where it may not, if one did.
    #[must_use]
    pub fn shut(&self) -> Option<Shut> {
        self.shut
    }

    /// Whether a trunk was passed because its name has no address at present.
    #[must_use]
    pub fn missed(&self) -> bool {
        self.missed
    }

    /// Whether there is a way beside the one tried last.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.hops.len() > 1 || self.trunks.len() > 1
    }
}

/// How long an INVITE or REGISTER may go without any response while there is another way.
pub const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::settings::tests::settings;
    use crate::trunk::tests::trunk;
    use crate::trunk::{Health, Trunk};

    fn steps(trunks: Vec<Trunk>, down: &[usize]) -> Vec<String> {
        steps_by(Mint::new([5; 16]), trunks, down)
    }

    fn steps_by(mut mint: Mint, trunks: Vec<Trunk>, down: &[usize]) -> Vec<String> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        let mut settings = settings();
        settings.trunks = Arc::new(Trunks::new(trunks));
        let trunks = settings.trunks.clone();
        let mut states = States::default();
        for at in down {
            let why = String::new();
            states.set_health(TrunkId(*at), Health::Down { why });
        }
        let mut dns = Dns::default();
        let mut guide = Guide::new(&settings, &states, &mut dns, &mut mint, now);
        let contact = Address::new("+15550001", "sip.example.com").unwrap();
        let found = trunks.find(&contact, "sip.example.com").unwrap();
        let mut ways = Ways::new(found, &mut guide);
        let mut seen = Vec::new();
        while let Step::Go(id, hop) = ways.step(&contact, &mut guide) {
            let name = trunks.get(id).map(|trunk| trunk.name.as_str()).unwrap();
            let more = if ways.has_more() { " +" } else { "" };
            seen.push(format!("{name} {}{more}", hop.host));
            ways.pass();
        }
        seen
    }

    fn at(name: &str, priority: u16, next_hop: &str) -> Trunk {
        Trunk {
            priority,
            ..trunk(name, &["+*"], Some(next_hop))
        }
    }

    #[test]
    fn lower_priority_first_and_the_broken_last() {
        let three = || {
            vec![
                at("c", 30, "192.0.2.3"),
                at("a", 10, "192.0.2.1"),
                at("b", 20, "192.0.2.2"),
            ]
        };
        assert_eq!(
            steps(three(), &[]),
            ["a 192.0.2.1 +", "b 192.0.2.2 +", "c 192.0.2.3"]
        );
        assert_eq!(
            steps(three(), &[1]),
            ["b 192.0.2.2 +", "c 192.0.2.3 +", "a 192.0.2.1"]
        );
    }

    #[test]
    fn trunks_of_one_priority_have_the_shares_of_their_weights() {
        let weighing = |name, weight, next_hop| Trunk {
            weight,
            ..at(name, 10, next_hop)
        };
        let first = |seed: u16, down: &[usize]| {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&seed.to_be_bytes());
            let spare = at("spare", 20, "192.0.2.3");
            let light = weighing("light", 1, "192.0.2.1");
            let heavy = weighing("heavy", 3, "192.0.2.2");
            let order = steps_by(Mint::new(bytes), vec![spare, heavy, light], down);
            assert_eq!(order.len(), 3);
            if down.is_empty() {
                assert_eq!(order[2], "spare 192.0.2.3");
            }
            order[0].split(' ').next().unwrap() == "light"
        };
        let light = (0..2000).filter(|seed| first(*seed, &[])).count();
        assert!((430..=570).contains(&light), "{light}");
        // Who is down has no share.
        assert!((0..50).all(|seed| first(seed, &[1])));
    }
}
