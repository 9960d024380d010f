//! The parties of a request to SIP (RFC 7247 §6): whom it goes to, and who our user is there.

use std::fmt::Write as _;

use tandem_shared::address::{Address, number, uri};
use tandem_shared::refusal::{Reason, Refusal};

use crate::emergency;
use crate::identity::{self, Caller};
use crate::number::Plan;
use crate::policy::Verdict;
use crate::settings::Settings;
use crate::sip::Transport;
use crate::sip::uri::{Host, Uri};
use crate::spelling::Spellings;
use crate::trunk::{Guide, Trunk, TrunkId, Ways, host_of};

/// Where a contact may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The trunks that fit best.
    pub trunks: Vec<TrunkId>,
    /// The user part as it is spelled, numbers in their global form.
    pub user: String,
    /// Whether the caller wants to be nobody in particular.
    pub hidden: bool,
    /// The number the caller wants to be known by, or is known by there, of several.
    pub chosen: Option<String>,
    /// The trunk whose number that is, to be asked first where it is one of them.
    pub via: Option<TrunkId>,
    /// Whether it is a number abroad, for which an admin may have to approve of the caller.
    pub abroad: bool,
    /// Whether it is an emergency number that the configuration names a trunk for.
    pub emergency: bool,
}

impl Found {
    /// The ways there, best first.
    #[must_use]
    pub fn ways(&self, guide: &mut Guide<'_>) -> Ways {
        let mut ways = Ways::new(self.trunks.clone(), guide);
        if let Some(via) = self.via {
            ways.prefer(via, guide.states);
        }
        ways
    }
}

/// What a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A call.
    Call,
    /// A message.
    Message,
}

/// What is decided on the way to a contact.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// It is an emergency number; nothing else is looked at.
    Emergency,
    /// What stands before the number hides the caller.
    Hidden,
    /// What stands before the number chooses this one to be known by.
    Chosen(&'a str),
    /// How the number is read.
    Number {
        /// As it was dialled.
        bare: &'a str,
        /// What it means, if that is a global number.
        number: Option<&'a str>,
        /// By which plan.
        plan: &'a Plan,
        /// Whether the plan is the user's own.
        is_own: bool,
    },
    /// What the policy says to it.
    Judged(&'a Verdict),
    /// Trunks are asked who takes this.
    Contact(&'a Address),
}

/// Finds the trunks for a request of `from` to the contact `to`, which may pass `hops` more gateways.
///
/// # Errors
/// The refusal to answer with when it may go nowhere: emergency numbers, loops, no trunk, numbers
/// that the policy keeps closed.
pub fn find(
    kind: Kind,
    (from, to): (&Address, &Address),
    hops: u8,
    spellings: &Spellings,
    settings: &Settings,
) -> Result<Found, Refusal> {
    trace(kind, (from, to), hops, spellings, settings, |_| {})
}

/// As [`find`], and tells each step by which it came to its end.
///
/// # Errors
/// As [`find`].
pub fn trace(
    kind: Kind,
    (from, to): (&Address, &Address),
    hops: u8,
    spellings: &Spellings,
    settings: &Settings,
    mut tell: impl FnMut(Step<'_>),
) -> Result<Found, Refusal> {
    if let Some(number) = settings.emergency.number(&to.user) {
        tell(Step::Emergency);
        return find_emergency(kind, (number, to), None, settings);
    }
    if hops == 0 {
        return Err(Refusal::new(Reason::Looped).with_text("This went in circles."));
    }
    if settings.mapping.serves(&to.host) {
        return Err(Refusal::new(Reason::Looped)
            .with_text("This is an XMPP user; use that address directly."));
    }
    let own = settings.mapping.domain.as_str();
    if to.host != own {
        let trunks = settings.trunks.find_for(from, to, own)?;
        let user = spellings.spell(to).to_owned();
        settings.emergency.check(&user)?;
        return Ok(Found {
            trunks,
            user,
            hidden: false,
            chosen: None,
            via: None,
            abroad: false,
            emergency: false,
        });
    }
    let line = settings.numbers.line(from);
    // In either order: hidden, and by which number.
    let (before, bare) = settings.numbering.unhide(&to.user);
    let (chosen, bare) = line.map_or((None, bare), |line| line.choose(bare));
    let (behind, bare) = settings.numbering.unhide(bare);
    let hidden = before || behind;
    if let Some(number) = chosen {
        tell(Step::Chosen(number));
    }
    if let Some(number) = settings.emergency.number(bare) {
        tell(Step::Emergency);
        return find_emergency(kind, (number, to), chosen, settings);
    }
    if hidden {
        tell(Step::Hidden);
    }
    let country = line.and_then(|line| line.country.as_deref());
    let plan = settings.numbering.plan.of(country);
    let number = plan.normalise(bare);
    tell(Step::Number {
        bare,
        number: number.as_deref(),
        plan: &plan,
        is_own: country.is_some(),
    });
    // What a number is does not depend on how the trunk that takes it wants it dialled.
    let judged = number.as_deref().unwrap_or(bare);
    let verdict = settings.policy.check(judged);
    tell(Step::Judged(&verdict));
    let user = match &number {
        Some(number) => number.as_str(),
        None if hidden || chosen.is_some() => bare,
        None => spellings.spell(to),
    };
    let mut contact = Address {
        user: user.to_owned(),
        host: to.host.clone(),
        device: None,
    };
    tell(Step::Contact(&contact));
    settings.emergency.check(user)?;
    let mut trunks = settings.trunks.find_for(from, &contact, own);
    // A trunk may take what was dialled, as an extension that looks like a number.
    if trunks.is_err() && number.is_some() {
        bare.clone_into(&mut contact.user);
        tell(Step::Contact(&contact));
        trunks = settings.trunks.find_for(from, &contact, own).or(trunks);
    }
    let trunks = trunks?;
    verdict.allow()?;
    Ok(Found {
        trunks,
        abroad: settings.policy.is_abroad(judged),
        user: contact.user,
        hidden,
        chosen: chosen.map(str::to_owned),
        via: None,
        emergency: false,
    })
}

/// A call to an emergency number goes to the trunk that is named for them, and nowhere else. Behind a domain
/// of its own the number is somebody else's, whom nobody allowed: that is refused.
fn find_emergency(
    kind: Kind,
    (number, to): (&str, &Address),
    chosen: Option<&str>,
    settings: &Settings,
) -> Result<Found, Refusal> {
    let is_ours = kind == Kind::Call && to.host == settings.mapping.domain;
    let trunk = settings.emergency.trunk();
    let trunk = trunk.and_then(|name| settings.trunks.named(name));
    match trunk.filter(|_| is_ours) {
        Some(trunk) => Ok(Found {
            trunks: vec![trunk],
            user: number.to_owned(),
            hidden: false,
            chosen: chosen.map(str::to_owned),
            via: None,
            abroad: false,
            emergency: true,
        }),
        None => Err(emergency::refusal()),
    }
}

/// Who a request goes to, as SIP writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The Request-URI's user and host, without device.
    pub to: String,
    /// The Request-URI.
    pub uri: Uri,
    /// Whether the caller wants to be nobody in particular.
    pub hidden: bool,
    /// The number the caller wants to be known by, of several.
    pub chosen: Option<String>,
    /// Whether it is an emergency number.
    pub emergency: bool,
}

impl Target {
    /// Who `from` is there, on `trunk`.
    ///
    /// # Errors
    /// As [`identity::caller`].
    pub fn caller(
        &self,
        from: &Address,
        trunk: &Trunk,
        settings: &Settings,
    ) -> Result<Caller, Refusal> {
        let chosen = self.chosen.as_deref();
        match self.emergency {
            true => identity::caller_in_need(from, chosen, trunk, settings),
            false => identity::caller(from, (self.hidden, chosen), trunk, settings),
        }
    }

    /// The party `contact`, found as `found`, on `trunk`.
    ///
    /// # Errors
    /// When the contact has no SIP form there, or becomes an emergency number by it.
    pub fn new(
        contact: &Address,
        found: &Found,
        trunk: &Trunk,
        settings: &Settings,
    ) -> Result<Self, Refusal> {
        let mut to = String::with_capacity(64);
        if contact.host == settings.mapping.domain {
            let (host, port) = match (&trunk.domain, &trunk.next_hop) {
                (Some(domain), _) => (domain, None),
                (None, Some(hop)) => (&hop.host, hop.port),
                (None, None) => return Err(Refusal::new(Reason::ItemNotFound)),
            };
            let transport = trunk.transport.unwrap_or(Transport::Udp);
            let usual = |port: &u16| *port == transport.default_port();
            let user = match found.emergency {
                true => found.user.clone(),
                false => trunk.dial(&found.user),
            };
            if !found.emergency {
                settings.emergency.check(&user)?;
            }
            write_uri(&mut to, &user, host, port.filter(|port| !usual(port)));
            if number::parse(&user).is_some() {
                to.push_str(";user=phone");
            }
        } else {
            write_uri(&mut to, &found.user, &host_of(contact)?, None);
        }
        let mut full = to.clone();
        if let Some(device) = contact.device.as_ref().filter(|_| !found.emergency) {
            let _ = write!(full, ";gr={}", uri::device_to_gr(device));
        }
        let uri = Uri::parse(&full).map_err(|_| {
            Refusal::new(Reason::JidMalformed).with_text("The address has no SIP form.")
        })?;
        Ok(Self {
            to,
            uri,
            hidden: found.hidden,
            chosen: found.chosen.clone(),
            emergency: found.emergency,
        })
    }
}

fn write_uri(out: &mut String, user: &str, host: &Host, port: Option<u16>) {
    let _ = write!(out, "sip:{}@{host}", uri::user_to_sip(user));
    if let Some(port) = port {
        let _ = write!(out, ":{port}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emergency::Emergency;
    use crate::number::{Numbers, Owner, Row};
    use crate::policy::Policy;
    use crate::settings::tests::settings;
    use crate::trunk::Trunks;
    use crate::trunk::tests::trunk;
    use std::sync::Arc;

    /// A trunk that wants numbers as they are dialled opens none of them.
    #[test]
    fn a_number_is_judged_as_what_it_means() {
        let mut settings = settings();
        settings.trunks = Arc::new(Trunks::new(vec![trunk("x", &["00*"], Some("192.0.2.1"))]));
        settings.numbering.plan.international = vec!["00".to_owned()];
        settings.policy = Policy::new(Some("1"), &["+44*".to_owned()], &[]);
        let from = Address::new("juliet", "example.com").unwrap();
        let spellings = Spellings::default();
        let find = |number: &str| {
            let to = Address::new(number, "sip.example.com").unwrap();
            let found = find(Kind::Call, (&from, &to), 70, &spellings, &settings);
            found.map(|found| (found.user, found.abroad))
        };
        assert_eq!(find("00442012345"), Ok(("00442012345".to_owned(), true)));
        assert!(find("0088213300000").is_err());
        assert!(find("004930123456").is_err());
        // What is told is what was asked, in that order.
        let to = Address::new("00442012345", "sip.example.com").unwrap();
        let mut asked = Vec::new();
        let tell = |step: Step<'_>| {
            if let Step::Contact(contact) = step {
                asked.push(contact.user.clone());
            }
        };
        trace(Kind::Call, (&from, &to), 70, &spellings, &settings, tell).unwrap();
        assert_eq!(asked, ["+442012345", "00442012345"]);
    }

    #[test]
    fn what_stands_before_a_number_says_by_which_one_and_whether() {
        let juliet = Address::new("juliet", "example.com").unwrap();
        let row = |number: &str, select: &str| Row {
            number: number.into(),
            owner: Owner::User(juliet.clone()),
            hidden: false,
            outgoing: true,
            select: select.into(),
            country: None,
        };
        let mut settings = settings();
        settings.numbers = Numbers::with_rows([row("+15550001", ""), row("+15550002", "*2*")]);
        settings.numbering.hide = vec!["*67".into()];
        let found = |from: &Address, dialled: &str| {
            let to = Address::new(dialled, "sip.example.com").unwrap();
            let found = find(
                Kind::Call,
                (from, &to),
                70,
                &Spellings::default(),
                &settings,
            );
            found.map(|found| (found.user, found.hidden, found.chosen))
        };
        let second = Some("+15550002".to_owned());
        for (dialled, hidden, chosen) in [
            ("+15559001", false, None),
            ("*67+15559001", true, None),
            ("*2*+15559001", false, second.clone()),
            ("*67*2*+15559001", true, second.clone()),
            ("*2**67+15559001", true, second.clone()),
        ] {
            let wanted = ("+15559001".to_owned(), hidden, chosen);
            assert_eq!(found(&juliet, dialled), Ok(wanted), "{dialled}");
        }
        // The choice is the user's alone, and emergency numbers are none of a trunk that is not named.
        assert_eq!(
            found(&juliet, "*2*911").unwrap_err().reason,
            Reason::Emergency
        );
        let romeo = Address::new("romeo", "example.com").unwrap();
        let theirs = found(&romeo, "*2*+15559001");
        assert!(!theirs.is_ok_and(|(_, _, chosen)| chosen.is_some()));
    }

    /// A gateway with the trunk `e` for emergency calls, and another that takes everything.
    fn with_emergency_trunk() -> Settings {
        let mut settings = settings();
        let mut named = trunk("e", &[], Some("192.0.2.9"));
        named.prefix = "7".into();
        let other = trunk("x", &["*", "+*", "*@evil.test"], Some("192.0.2.1"));
        settings.trunks = Arc::new(Trunks::new(vec![other, named]));
        settings.emergency = Emergency::default().with_trunk(Some("e".into()));
        settings.numbering.hide = vec!["*67".into()];
        settings
    }

    #[test]
    fn emergency_calls_go_to_the_trunk_that_is_named_for_them() {
        let settings = with_emergency_trunk();
        let from = Address::new("juliet", "example.com").unwrap();
        let spellings = Spellings::default();
        for dialled in ["911", "*67911", "9911", "9-1-1", "+1911"] {
            let mut to = Address::new(dialled, "sip.example.com").unwrap();
            to.device = Some("sip".into());
            let find = |kind| find(kind, (&from, &to), 70, &spellings, &settings);
            let found = find(Kind::Call).unwrap();
            assert!(found.emergency && !found.hidden, "{dialled}");
            let names = found.trunks.iter().map(|id| settings.trunks.name(*id));
            assert_eq!(names.collect::<Vec<_>>(), ["e"], "{dialled}");
            let trunk = settings.trunks.get(found.trunks[0]).unwrap();
            let target = Target::new(&to, &found, trunk, &settings).unwrap();
            let uri = target.uri.to_string();
            assert_eq!(uri, "sip:911@192.0.2.9;user=phone", "{dialled}");
            let refusal = find(Kind::Message).unwrap_err();
            assert_eq!(refusal.reason, Reason::Emergency, "{dialled}");
        }
    }

    /// Whoever serves `evil.test` is not the emergency service, and no trunk for it.
    #[test]
    fn an_emergency_number_of_another_domain_is_refused() {
        let settings = with_emergency_trunk();
        let from = Address::new("juliet", "example.com").unwrap();
        for (user, host) in [
            ("911", "evil.test"),
            ("sos", "evil.test"),
            ("911", "example.com"),
        ] {
            let to = Address::new(user, host).unwrap();
            let found = find(
                Kind::Call,
                (&from, &to),
                70,
                &Spellings::default(),
                &settings,
            );
            assert_eq!(
                found.unwrap_err().reason,
                Reason::Emergency,
                "{user}@{host}"
            );
        }
    }

    /// A number that is one only as the trunk writes it is carried by none.
    #[test]
    fn a_number_that_becomes_an_emergency_number_is_refused() {
        let mut settings = with_emergency_trunk();
        let mut nine = trunk("nine", &["*"], Some("192.0.2.1"));
        nine.prefix = "9".into();
        settings.trunks = Arc::new(Trunks::new(vec![nine]));
        let from = Address::new("juliet", "example.com").unwrap();
        let to = Address::new("11", "sip.example.com").unwrap();
        let parties = (&from, &to);
        for kind in [Kind::Call, Kind::Message] {
            let found = find(kind, parties, 70, &Spellings::default(), &settings).unwrap();
            let trunk = settings.trunks.get(found.trunks[0]).unwrap();
            let target = Target::new(&to, &found, trunk, &settings);
            assert_eq!(target.unwrap_err().reason, Reason::Emergency);
        }
    }
}
