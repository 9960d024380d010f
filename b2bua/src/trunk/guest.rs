//! Trunks that are known by what they show, not by their address.

use super::{Trunk, TrunkId, Trunks};
use crate::sip::digest::Account;
use crate::sip::endpoint::Guest;

impl Trunks {
    /// The accounts by which trunks come in from anywhere.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        let account = |(TrunkId(number), trunk): (TrunkId, &Trunk)| {
            let credential = trunk.inbound_account.as_ref()?;
            Some(Account {
                number,
                user: credential.user.clone(),
                password: credential.password.clone(),
            })
        };
        self.iter().filter_map(account).collect()
    }

    /// Whether a certificate lets any trunk in.
    #[must_use]
    pub fn has_certified(&self) -> bool {
        self.iter().any(|(_, trunk)| trunk.peer_name.is_some())
    }

    /// The trunk of a client whose certificate speaks for these domains (RFC 5922 §7.1).
    #[must_use]
    pub fn certified(&self, domains: &[String]) -> Option<TrunkId> {
        let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        let is_named = |trunk: &Trunk| {
            let name = trunk.peer_name.as_deref().map(plain);
            name.is_some_and(|name| domains.iter().any(|domain| plain(domain) == name))
        };
        let found = self.iter().find(|(_, trunk)| is_named(trunk));
        found.map(|(id, _)| id)
    }
}

impl TrunkId {
    /// It as the SIP endpoint knows it.
    #[must_use]
    pub fn guest(self) -> Guest {
        Guest(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::tests::trunk;

    #[test]
    fn a_certificate_is_of_the_trunk_it_names_as_a_whole() {
        let mut partner = trunk("partner", &["+*"], None);
        partner.peer_name = Some("Sip.Partner.example".into());
        let trunks = Trunks::new(vec![trunk("other", &["+*"], None), partner]);
        let find = |domains: &[&str]| {
            let domains: Vec<String> = domains.iter().map(|it| (*it).to_owned()).collect();
            trunks.certified(&domains).map(|id| trunks.name(id))
        };
        assert_eq!(
            find(&["x.example", "sip.partner.example."]),
            Some("partner")
        );
        for others in [
            &["partner.example"][..],
            &["a.sip.partner.example"],
            &["*.partner.example"],
            &["other"],
            &[],
        ] {
            assert_eq!(find(others), None, "{others:?}");
        }
        assert!(trunks.has_certified());
        assert!(!Trunks::new(vec![trunk("other", &["+*"], None)]).has_certified());
    }

    #[test]
    fn what_a_request_shows_counts_more_than_where_it_comes_from() {
        use crate::sip::endpoint::Source;
        use crate::sip::{Flow, Method, Request, Uri};
        let trunks = Trunks::new(vec![
            trunk("near", &["+*"], None),
            trunk("guest", &["*"], None),
        ]);
        let request = Request::new(Method::Message, Uri::parse("sip:x@example.com").unwrap());
        let peer = ([192, 0, 2, 1], 5060).into();
        let mut source = Source::of(Flow::Udp { socket: 0, peer });
        let name = |source| trunks.of(&request, source).map(|(id, _)| trunks.name(id));
        assert_eq!(name(source), Some("near"));
        source.guest = trunks.named("guest").map(TrunkId::guest);
        assert_eq!(name(source), Some("guest"));
    }
}
