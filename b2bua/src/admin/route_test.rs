//! What would become of a call or message: every step by which its way is found, in words.
//!
//! The function that decides when a request comes tells its steps ([`target::trace`]), so that what
//! is told here is what happens.

use std::fmt::Write as _;
use std::time::Instant;

use tandem_shared::address::uri::user_from_sip;
use tandem_shared::address::{Address, host_from_text, number};

use super::Answer;
use crate::dns::{Dns, Located};
use crate::last_number::LastNumbers;
use crate::policy::Approvals;
use crate::policy::approval::{Look, Verdict};
use crate::settings::Settings;
use crate::sip::uri::Uri;
use crate::spelling::Spellings;
use crate::target::{self, Kind, Step, Target};
use crate::trunk::reach::{self, Shut};
use crate::trunk::{Guide, States, Trunk, TrunkId, is_full};

/// What is asked with.
#[derive(Debug)]
pub struct Context<'a> {
    /// What was configured.
    pub settings: &'a Settings,
    /// How users are spelled.
    pub spellings: &'a Spellings,
    /// Who may reach numbers abroad.
    pub approvals: &'a Approvals,
    /// By which numbers contacts called last.
    pub last_numbers: &'a LastNumbers,
    /// How trunks are.
    pub states: &'a States,
    /// Where names lead.
    pub dns: &'a mut Dns,
    /// For the share of each.
    pub mint: &'a mut tandem_shared::mint::Mint,
    /// The time.
    pub now: Instant,
}

/// Tells how a request from `from` to `to` would go; both as JIDs or as numbers and addresses.
#[must_use]
pub fn run(to: &str, from: Option<&str>, cx: &mut Context<'_>) -> Answer {
    let settings = cx.settings;
    let own = settings.mapping.domain.as_str();
    let Some(to) = contact(to, settings) else {
        return Answer::no(format!(
            "{to:?} is no number and no address; write \"+15551234567\", \"alice@pbx.example.com\", a tel: or sip: URI, \
            or a JID at {own}"
        ));
    };
    let given = from;
    let from = match given {
        Some(text) => settings
            .mapping
            .user_from_text(text)
            .map(|user| user.account()),
        None => Address::new(
            "somebody",
            settings
                .mapping
                .user_domains
                .first()
                .map_or(own, String::as_str),
        )
        .ok(),
    };
    let Some(from) = from else {
        return Answer::no(format!(
            "--from is no user of {}",
            settings.mapping.user_domains.join(", ")
        ));
    };
    let mut text = String::new();
    if given.is_none() {
        let Address { user, host, .. } = &from;
        let _ = writeln!(text, "from: {user}@{host}, as no --from was given");
    }
    let _ = writeln!(text, "to: {}@{}", to.user, to.host);
    let mut verdicts = Vec::new();
    for (kind, name) in [(Kind::Call, "call"), (Kind::Message, "message")] {
        let parties = (&from, &to);
        let found = target::trace(kind, parties, HOPS, cx.spellings, settings, |step| {
            if kind == Kind::Call {
                explain(&mut text, step, &from, settings);
            }
        });
        let found = found.and_then(|mut found| {
            let look = cx.approvals.look(&from, &found, settings);
            let dialled = found.chosen.is_some();
            cx.last_numbers.choose(&from, &to, &mut found, settings);
            if kind == Kind::Call {
                if let Some(number) = found.chosen.as_ref().filter(|_| !dialled) {
                    let _ = writeln!(
                        text,
                        "caller: known by {number}, which this contact called last"
                    );
                }
                explain_approval(&mut text, look, &found, settings);
            }
            look.allow().map(|()| found)
        });
        if let Err(refusal) = &found {
            let words = refusal.text.as_deref().unwrap_or_default();
            let _ = writeln!(text, "{name}: refused: {:?}: {words}", refusal.reason);
        }
        verdicts.push((name, found));
    }
    let Some(found) = verdicts.iter().find_map(|(_, found)| found.as_ref().ok()) else {
        return Answer::ok(text);
    };
    let mut guide = Guide::new(settings, cx.states, cx.dns, cx.mint, cx.now);
    let order = found.ways(&mut guide);
    let is_own = |id: &TrunkId| {
        let trunk = settings.trunks.get(*id);
        trunk.is_some_and(|trunk| trunk.owner.is_some())
    };
    if found.trunks.first().is_some_and(is_own) {
        let _ = writeln!(
            text,
            "account: the user's own takes it, and no trunk of all users"
        );
    }
    let mut takes = Takes::default();
    for (at, id) in order.trunks().enumerate() {
        if let Some(trunk) = settings.trunks.get(id) {
            let its = explain_trunk(&mut text, at, (id, trunk), &from, &to, found, cx);
            takes.call |= its.call;
            takes.message |= its.message;
        }
    }
    for (name, _) in verdicts.iter().filter(|(_, found)| found.is_ok()) {
        let taken = match *name {
            "call" => takes.call,
            _ => takes.message,
        };
        let verdict = match taken {
            true => "allowed",
            false => "refused: every trunk is passed",
        };
        let _ = writeln!(text, "{name}: {verdict}");
    }
    Answer::ok(text)
}

/// A step in words.
fn explain(text: &mut String, step: Step<'_>, from: &Address, settings: &Settings) {
    let _ = match step {
        Step::Emergency => writeln!(text, "emergency: yes, and nothing else is looked at"),
        Step::Hidden => writeln!(text, "caller: hidden, by what stands before the number"),
        Step::Chosen(number) => {
            writeln!(
                text,
                "caller: known by {number}, by what stands before the number"
            )
        }
        Step::Number {
            bare,
            number: Some(number),
            ..
        } if number == bare => writeln!(text, "number: {number}"),
        Step::Number {
            bare,
            number: Some(number),
            plan,
            is_own,
        } => {
            let whose = if is_own { "the user's" } else { "numbering" };
            let country = plan.country.as_deref().unwrap_or_default();
            writeln!(
                text,
                "number: {bare} is {number}, by {whose} country {country:?}"
            )
        }
        Step::Number {
            bare, number: None, ..
        } => writeln!(text, "number: {bare}, not a global one"),
        Step::Judged(verdict) => {
            let allowed = if verdict.allowed { "open" } else { "closed" };
            writeln!(text, "policy: {allowed}: {}", verdict.rule)
        }
        Step::Contact(contact) => {
            explain_patterns(text, (from, contact), settings);
            Ok(())
        }
    };
}

/// Which trunks take a contact, and by which of their patterns.
fn explain_patterns(text: &mut String, (from, contact): (&Address, &Address), settings: &Settings) {
    let own = settings.mapping.domain.as_str();
    let theirs = |(_, trunk): &(TrunkId, &Trunk)| {
        let owner = trunk.owner.as_ref();
        owner.is_none_or(|owner| *owner == from.account())
    };
    for (_, trunk) in settings.trunks.iter().filter(theirs) {
        let fits = trunk
            .patterns
            .iter()
            .filter_map(|pattern| Some((pattern.fit(contact, own)?, pattern)))
            .max_by_key(|(fit, _)| *fit);
        let _ = match fits {
            Some((_, pattern)) => writeln!(text, "trunk {}: takes it by {pattern}", trunk.name),
            None => writeln!(text, "trunk {}: does not take it", trunk.name),
        };
    }
}

/// Whether an admin has to approve of the user, and has.
fn explain_approval(text: &mut String, look: Look, found: &target::Found, settings: &Settings) {
    if !settings.policy.approve_abroad || !found.abroad {
        return;
    }
    let state = match look {
        Look::Open => "approved of",
        Look::Known(Verdict::Denied) => "denied",
        Look::Known(_) => "the admins were asked",
        Look::New => "the admins would be asked",
    };
    let _ = writeln!(text, "approval: needed, policy.approve_abroad: {state}");
}

/// What a trunk takes now.
#[derive(Debug, Default, Clone, Copy)]
struct Takes {
    call: bool,
    message: bool,
}

/// What a trunk makes of it.
fn explain_trunk(
    text: &mut String,
    at: usize,
    (id, trunk): (TrunkId, &Trunk),
    from: &Address,
    to: &Address,
    found: &target::Found,
    cx: &mut Context<'_>,
) -> Takes {
    let settings = cx.settings;
    let full = is_full(trunk, id, cx.states);
    let state = match (cx.states.is_up(id), full) {
        (true, false) => "",
        (true, true) => ", full: calls pass it",
        (false, _) => ", does not work at present: comes last",
    };
    let _ = writeln!(
        text,
        "{}. trunk {} (priority {}, weight {}{state})",
        at + 1,
        trunk.name,
        trunk.priority,
        trunk.weight
    );
    let sent = Target::new(to, found, trunk, settings);
    if let Ok(target) = &sent {
        let _ = writeln!(text, "   Request-URI: {}", target.uri);
    }
    let sent = sent.and_then(|target| Ok((target.caller(from, trunk, settings)?, target)));
    match &sent {
        Ok((caller, target)) => {
            let _ = writeln!(text, "   From: {}", caller.from);
            let _ = writeln!(text, "   To: <{}>", target.to);
            for proxy in cx.states.service_route(id, None) {
                let _ = writeln!(text, "   Route: {proxy}");
            }
            for (name, value) in caller.headers.iter() {
                let _ = writeln!(text, "   {}: {value}", name.as_str());
            }
        }
        Err(refusal) => {
            let words = refusal.text.as_deref().unwrap_or_default();
            let _ = writeln!(text, "   passed: {words}");
        }
    }
    // A name that is being asked for may lead somewhere.
    let mut leads = true;
    let place = trunk.place(to).ok();
    match place.map(|place| cx.dns.locate(id.whose(), &place, cx.mint, cx.now)) {
        Some(Located::Hops(hops)) if hops.is_empty() => {
            leads = false;
            let _ = writeln!(text, "   its name has no address");
        }
        Some(Located::Hops(hops)) => {
            let shuts = hops
                .iter()
                .map(|hop| reach::shut(trunk, hop, &settings.endpoint));
            leads = shuts.clone().any(|shut| shut.is_none());
            for (hop, shut) in hops.iter().zip(shuts) {
                let transport = hop.transport.as_str();
                let shut = match shut {
                    None => "",
                    Some(Shut::OwnNetwork) => {
                        ": of the own network, left out as allow_private is not set"
                    }
                    Some(Shut::LowPort) => ": a port of another service, left out",
                    Some(Shut::Ourselves) => ": our own address, left out",
                };
                let _ = writeln!(
                    text,
                    "   to {} port {} over {transport}{shut}",
                    hop.host, hop.port
                );
            }
        }
        Some(Located::Wait) => {
            let _ = writeln!(text, "   its name is being asked for; ask again");
        }
        None => leads = false,
    }
    Takes {
        call: sent.is_ok() && !full && leads,
        message: sent.is_ok() && leads,
    }
}

/// A contact, given as number, SIP address, URI or JID.
fn contact(text: &str, settings: &Settings) -> Option<Address> {
    let own = settings.mapping.domain.as_str();
    let text = text.trim();
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    let schemes = ["tel", "sip", "sips"];
    let is_uri = schemes.iter().any(|it| it.eq_ignore_ascii_case(scheme));
    if !is_uri && !scheme.is_empty() && !scheme.contains('@') {
        return None;
    }
    let text = if is_uri { rest } else { text };
    if is_uri && let Ok(uri) = Uri::parse(&format!("{scheme}:{rest}")) {
        let named = named_by(&uri, own);
        // "sip:+15551234567" is a host to the grammar, and a number to whoever writes it.
        if named.is_some() || number::parse(rest).is_none() {
            return named;
        }
    }
    let Some((user, host)) = text.rsplit_once('@') else {
        let user: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        return Address::new(&user, own).ok();
    };
    if host == own {
        // As a JID: user\\40host for addresses elsewhere.
        let user = user.replace("\\40", "@");
        return match user.rsplit_once('@') {
            Some((user, host)) => Address::new(user, host).ok(),
            None => Address::new(&user, own).ok(),
        };
    }
    Address::new(user, host).ok()
}

/// The contact a URI names. Parameters of a number say how to dial it, not which it is.
fn named_by(uri: &Uri, own: &str) -> Option<Address> {
    match uri {
        Uri::Tel(rest) => {
            let number = number::parse(rest.as_str().split(';').next()?)?;
            Address::new(number.as_str(), own).ok()
        }
        Uri::Sip(uri) => {
            let user = user_from_sip(uri.raw_user()?).ok()?;
            let number = user.split(';').next()?;
            let host = host_from_text(&uri.host.to_string()).ok()?;
            let user = if host == own { number } else { user.as_str() };
            Address::new(user, &host).ok()
        }
        Uri::Other { .. } => None,
    }
}

const HOPS: u8 = 70;

#[cfg(test)]
mod tests {
    use crate::admin::Ask;
    use std::sync::Arc;

    use crate::core::bench::Bench;
    use crate::emergency::Emergency;
    use crate::settings::Settings;
    use crate::settings::tests::settings;
    use crate::trunk::Trunks;
    use crate::trunk::tests::trunk;

    fn ask(to: &str, from: Option<&str>) -> String {
        ask_of(settings(), to, from)
    }

    fn ask_of(settings: Settings, to: &str, from: Option<&str>) -> String {
        let mut bench = Bench::with(settings);
        let now = bench.now;
        let ask = Ask::RouteTest {
            to: to.into(),
            from: from.map(Into::into),
        };
        bench.core.ask(&ask, now).text
    }

    #[test]
    fn every_step_is_told() {
        insta::assert_snapshot!(ask("+1 555 9001", Some("juliet@example.com")), @r#"
        to: +15559001@sip.example.com
        number: +15559001
        policy: open: policy.allow "+*"
        trunk numbers: takes it by +*
        trunk pbx: does not take it
        trunk sms: does not take it
        1. trunk numbers (priority 0, weight 1)
           Request-URI: sip:+15559001@192.0.2.1;user=phone
           From: <sip:+15550001@sip.example.com;user=phone>
           To: <sip:+15559001@192.0.2.1;user=phone>
           to 192.0.2.1 port 5060 over UDP
        call: allowed
        message: allowed
        "#);
    }

    #[test]
    fn uris_are_read_as_what_they_name() {
        for (written, to) in [
            ("tel:+1-555-9001", "to: +15559001@sip.example.com\n"),
            (
                "TEL:5559001;phone-context=+1",
                "to: 5559001@sip.example.com\n",
            ),
            (
                "sip:+15559001@sip.example.com;user=phone",
                "to: +15559001@sip.example.com\n",
            ),
            (
                "sip:romeo@pbx.example.net:5070;transport=tcp",
                "to: romeo@pbx.example.net\n",
            ),
            ("sips:romeo@PBX.example.net", "to: romeo@pbx.example.net\n"),
            ("sip:a%23b@pbx.example.net", "to: a#b@pbx.example.net\n"),
            ("sip:+15559001", "to: +15559001@sip.example.com\n"),
        ] {
            let text = ask(written, Some("juliet@example.com"));
            assert!(text.starts_with(to), "{written}: {text}");
        }
        assert!(ask("mailto:romeo@pbx.example.net", None).contains("tel: or sip: URI"));
    }

    #[test]
    fn refusals_name_their_rule() {
        let text = ask("+1 900 555 1234", Some("juliet@example.com"));
        assert!(
            text.contains("policy: closed: \"+1900*\" is known to be dear"),
            "{text}"
        );
        assert!(text.contains("call: refused: NotAllowed"), "{text}");
        assert!(
            ask("911", None)
                .starts_with("from: somebody@example.com, as no --from was given\nto: 911@")
        );
        assert!(!text.contains("no --from"), "{text}");
        assert!(ask("911", None).contains("emergency: yes"));
        assert!(ask("9911", None).contains("call: refused: Emergency"));
        assert!(ask(r"romeo\40pbx.example.net@sip.example.com", None).contains("trunk pbx"));
        assert!(ask("romeo@nowhere.example", None).contains("No route leads"));
        assert!(ask("+15559001", Some("x@other.example")).contains("no user of"));
        let text = ask("+15559001", None);
        assert!(text.contains("passed: You have no telephone number"));
        for kind in ["call", "message"] {
            let verdict = format!("{kind}: refused: every trunk is passed\n");
            assert!(text.contains(&verdict), "{text}");
        }
        assert!(!text.contains("allowed"), "{text}");
    }

    /// Where a trunk takes them, callers are shown, whatever they dial.
    #[test]
    fn emergency_calls_are_told_as_they_go() {
        let mut settings = settings();
        let named = trunk("e", &[], Some("192.0.2.9"));
        settings.trunks = Arc::new(Trunks::new(vec![named]));
        settings.emergency = Emergency::default().with_trunk(Some("e".into()));
        settings.numbering.hide = vec!["*67".into()];
        let text = ask_of(settings, "*67911", Some("juliet@example.com"));
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains("Request-URI: sip:911@192.0.2.9"), "{text}");
        assert!(text.contains("call: allowed"), "{text}");
        assert!(text.contains("message: refused: Emergency"), "{text}");
    }

    /// A trunk that leads only where it may not takes nothing.
    #[test]
    fn trunks_that_lead_nowhere_allow_nothing() {
        let mut settings = settings();
        let open = trunk("open", &["*@10.0.0.1"], None);
        settings.trunks = Arc::new(Trunks::new(vec![open]));
        let text = ask_of(settings, "romeo@10.0.0.1", Some("juliet@example.com"));
        assert!(text.contains(": of the own network, left out"), "{text}");
        for kind in ["call", "message"] {
            let verdict = format!("{kind}: refused: every trunk is passed\n");
            assert!(text.contains(&verdict), "{text}");
        }
    }
}
