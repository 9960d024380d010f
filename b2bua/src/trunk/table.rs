//! All trunks: which of them take a contact, and by which of them a request came.

use std::net::IpAddr;
use std::sync::Arc;

use tandem_shared::address::Address;
use tandem_shared::refusal::{Reason, Refusal};

use super::own::{self, Own};
use super::{FlowId, Gate, Network, Trunk, TrunkId};
use crate::sip::Request;
use crate::sip::endpoint::{Guest, Source};
use crate::sip::uri::SipUri;

/// All trunks.
#[derive(Debug, Clone, Default)]
pub struct Trunks {
    trunks: Vec<Trunk>,
    own: Own,
    gate: Arc<Gate>,
}

impl Trunks {
    /// The trunks, in the order of the configuration.
    #[must_use]
    pub fn new(trunks: Vec<Trunk>) -> Self {
        let named = trunks.iter().flat_map(|trunk| trunk.inbound.clone());
        Self {
            gate: Arc::new(Gate::new(named.collect())),
            own: Own::default(),
            trunks,
        }
    }

    /// Who is let in, for those who ask it of each packet.
    #[must_use]
    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// The trunks of `user` to `contact`: the user's own that take it, else those of all users.
    ///
    /// # Errors
    /// As [`Trunks::find`].
    pub fn find_for(
        &self,
        user: &Address,
        contact: &Address,
        own: &str,
    ) -> Result<Vec<TrunkId>, Refusal> {
        let found = best(self.own.of(user), contact, own);
        match found.is_empty() {
            true => self.find(contact, own),
            false => Ok(found),
        }
    }

    /// The trunks of all users to `contact`: those whose pattern fits best.
    ///
    /// # Errors
    /// `item-not-found` when no trunk takes it.
    pub fn find(&self, contact: &Address, own: &str) -> Result<Vec<TrunkId>, Refusal> {
        let all = self.trunks.iter().enumerate();
        let found = best(all.map(|(at, trunk)| (TrunkId(at), trunk)), contact, own);
        match found.is_empty() {
            true => {
                Err(Refusal::new(Reason::ItemNotFound).with_text("No route leads to this address."))
            }
            false => Ok(found),
        }
    }

    /// The trunk itself.
    #[must_use]
    pub fn get(&self, id: TrunkId) -> Option<&Trunk> {
        match own::is_own(id) {
            true => self.own.get(id),
            false => self.trunks.get(id.0),
        }
    }

    /// All of them: those of the configuration in its order, then users' own.
    pub fn iter(&self) -> impl Iterator<Item = (TrunkId, &Trunk)> {
        let trunks = self.trunks.iter().enumerate();
        let trunks = trunks.map(|(at, trunk)| (TrunkId(at), trunk));
        trunks.chain(self.own.iter())
    }

    /// Takes in a user's own.
    pub fn add_own(&mut self, trunk: Trunk) -> TrunkId {
        self.own.add(trunk)
    }

    /// From now on nothing new goes or comes by a user's own trunk.
    pub fn retire_own(&mut self, id: TrunkId) {
        self.own.retire(id);
    }

    /// Nothing needs a user's own trunk any more.
    pub fn forget_own(&mut self, id: TrunkId) {
        self.own.forget(id);
        self.gate.shut(id);
    }

    /// What the trunk is called, for logs.
    #[must_use]
    pub fn name(&self, id: TrunkId) -> &str {
        self.get(id).map_or("", |trunk| &trunk.name)
    }

    /// The trunk of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<TrunkId> {
        let at = self.trunks.iter().position(|trunk| trunk.name == name);
        at.map(TrunkId)
    }

    /// From now on lets in what comes from where a flow is registered; tells whether it has moved, and whether
    /// there is a former place.
    pub fn welcome(&self, id: FlowId, source: IpAddr) -> (bool, bool) {
        self.gate.open(id, source)
    }

    /// Lets in no more than a flow needs: where it is, if it is registered, and where it was, if it has calls.
    /// Tells whether there is such a former place.
    pub fn review(&self, id: FlowId, is_registered: bool, has_calls: bool) -> bool {
        self.gate.review(id, is_registered, has_calls)
    }

    /// The trunk a request from `source` came by: the one whose credentials or certificate it has, else
    /// the one it names with its Request-URI, else the one with the narrowest range, else the first
    /// that is registered there. A user's own has to be named, and by name comes after all others.
    #[must_use]
    pub fn of(&self, request: &Request, source: Source) -> Option<(TrunkId, &Trunk)> {
        if let Some(Guest(number)) = source.guest {
            let id = TrunkId(number);
            return Some((id, self.get(id)?));
        }
        let uri = request.uri.as_sip();
        self.of_source(source.address(), uri.and_then(SipUri::raw_user))
    }

    fn of_source(&self, source: IpAddr, user: Option<&str>) -> Option<(TrunkId, &Trunk)> {
        if let Some(found) = user.and_then(|user| self.own.by_line(user)) {
            return Some(found);
        }
        let narrowest = |trunk: &Trunk| {
            let holding = trunk
                .inbound
                .iter()
                .filter(|network| network.contains(source));
            holding.map(Network::bits).max()
        };
        let registered = |id: TrunkId| self.gate.is_welcome(id, source);
        let mut best: Option<((TrunkId, &Trunk), u8)> = None;
        for (at, trunk) in self.trunks.iter().enumerate() {
            let id = TrunkId(at);
            let Some(bits) = narrowest(trunk).or_else(|| registered(id).then_some(0)) else {
                continue;
            };
            if user == Some(trunk.line.as_str()) {
                return Some((id, trunk));
            }
            if best.is_none_or(|(_, other)| bits > other) {
                best = Some(((id, trunk), bits));
            }
        }
        let found = best.map(|(found, _)| found);
        found.or_else(|| self.own_by_name(source, user?))
    }

    /// The user's own trunk that its registrar names by what is registered there, instead of our Contact.
    fn own_by_name(&self, source: IpAddr, user: &str) -> Option<(TrunkId, &Trunk)> {
        let there = self.gate.registered_at(source).into_iter();
        let mut there = there.filter_map(|id| Some((id, self.own.get(id)?)));
        there.find(|(_, trunk)| {
            let register = trunk.register.as_ref();
            register.is_some_and(|register| register.user == user)
        })
    }
}

/// Those of `trunks` whose pattern fits `contact` best.
fn best<'a>(
    trunks: impl Iterator<Item = (TrunkId, &'a Trunk)>,
    contact: &Address,
    own: &str,
) -> Vec<TrunkId> {
    let mut found: Vec<TrunkId> = Vec::new();
    let mut best = 0;
    for (id, trunk) in trunks {
        let fits = trunk.patterns.iter().filter_map(|it| it.fit(contact, own));
        let Some(fit) = fits.max() else {
            continue;
        };
        if fit > best {
            found.clear();
            best = fit;
        }
        if fit == best {
            found.push(id);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::tests::trunk;

    #[test]
    fn the_longest_prefix_wins() {
        let trunks = Trunks::new(vec![
            trunk("world", &["+*"], Some("192.0.2.1")),
            trunk(
                "america",
                &["+1*", "*@pbx.example.com"],
                Some("192.0.2.2:5070"),
            ),
        ]);
        let name = |user: &str, host: &str| {
            let found = trunks.find(&Address::new(user, host).unwrap(), "sip.example.com");
            let first = found.ok().and_then(|ids| ids.first().copied());
            first
                .and_then(|id| trunks.get(id))
                .map(|trunk| trunk.name.clone())
        };
        assert_eq!(
            name("+15551", "sip.example.com").as_deref(),
            Some("america")
        );
        assert_eq!(name("+4930", "sip.example.com").as_deref(), Some("world"));
        assert_eq!(name("alice", "pbx.example.com").as_deref(), Some("america"));
        assert_eq!(name("alice", "example.net"), None);
        assert_eq!(name("alice", "sip.example.com"), None);
    }

    #[test]
    fn trunks_that_fit_equally_well_are_alternatives() {
        let trunks = Trunks::new(vec![
            trunk("a", &["+1*", "+*"], Some("192.0.2.1")),
            trunk("b", &["+*"], Some("192.0.2.2")),
        ]);
        let found = |user: &str| {
            let contact = Address::new(user, "sip.example.com").unwrap();
            trunks.find(&contact, "sip.example.com").unwrap().len()
        };
        assert_eq!((found("+15551"), found("+4930")), (1, 2));
    }

    #[test]
    fn the_narrowest_range_says_by_which_trunk_a_request_came() {
        let mut wide = trunk("wide", &["+*"], Some("192.0.2.1"));
        wide.inbound = vec!["10.0.0.0/8".parse().unwrap()];
        let mut narrow = trunk("narrow", &["*"], Some("192.0.2.1"));
        narrow.inbound = vec!["10.1.0.0/16".parse().unwrap()];
        let trunks = Trunks::new(vec![wide, narrow]);
        let name = |source: [u8; 4]| {
            trunks
                .of_source(source.into(), None)
                .map(|(_, trunk)| trunk.name.as_str())
        };
        assert_eq!(name([10, 1, 2, 3]), Some("narrow"));
        assert_eq!(name([10, 2, 2, 3]), Some("wide"));
        assert_eq!(name([192, 0, 2, 1]), None);
    }
}
