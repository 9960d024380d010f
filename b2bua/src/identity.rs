//! Who our user is to a trunk: From, and what stands beside it (RFC 3325 §9; RFC 3323 §4; specs 10.6).

use std::fmt::Write as _;

use tandem_shared::address::{Address, uri};
use tandem_shared::refusal::{Reason, Refusal};

use crate::settings::Settings;
use crate::sip::header::Name;
use crate::sip::{Headers, NameAddr, Uri};
use crate::trunk::{Asserts, Identity, Privacy, Trunk};

/// What a request says of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The URI of From, with a display name before it where there is one.
    pub from: NameAddr,
    /// What stands beside it.
    pub headers: Headers,
}

/// Who `from` is on `trunk`: nobody in particular when it is `hidden`, by the number `chosen` where there
/// is one.
///
/// # Errors
/// When the user may not use the trunk.
pub fn caller(
    from: &Address,
    (hidden, chosen): (bool, Option<&str>),
    trunk: &Trunk,
    settings: &Settings,
) -> Result<Caller, Refusal> {
    let own = uri_of(from, chosen, trunk, settings)?;
    let hidden = hidden || settings.numbers.hides(from, chosen);
    if hidden && trunk.privacy == Privacy::Never {
        // RFC 3323 §4.2: what cannot be kept must not be sent.
        return Err(Refusal::new(Reason::NotAllowed)
            .with_text("Your number cannot be hidden on the way to this address."));
    }
    let withheld = hidden && trunk.privacy == Privacy::Withhold;
    let hidden = hidden || trunk.privacy == Privacy::Always;
    write(&own, trunk, hidden, withheld)
}

/// Who `from` is on the trunk for emergency calls: shown, whatever the user and the trunk say of hiding, as
/// networks do with such calls: who answers has to know whom to help and to call back.
///
/// # Errors
/// When the user has no number, and the trunk knows users by nothing else.
pub fn caller_in_need(
    from: &Address,
    chosen: Option<&str>,
    trunk: &Trunk,
    settings: &Settings,
) -> Result<Caller, Refusal> {
    let own = uri_of(from, chosen, trunk, settings)?;
    write(&own, trunk, false, false)
}

/// What a trunk is told of the sender whose URI there is `own`.
fn write(own: &str, trunk: &Trunk, hidden: bool, withheld: bool) -> Result<Caller, Refusal> {
    let mut headers = Headers::new();
    let mut shown = NameAddr::new(Uri::parse(own).map_err(|_| malformed())?);
    if hidden {
        // RFC 3323 §4.1.1.3: nobody learns it from here; RFC 3325 §7: the trunk tells nobody.
        headers.push(Name::Privacy, "id");
        shown = NameAddr::new(Uri::parse(ANONYMOUS).map_err(|_| malformed())?);
        shown.display = Some("Anonymous".into());
    }
    let name = match trunk.asserts {
        Asserts::Nothing => None,
        Asserts::Asserted => Some(Name::PAssertedIdentity),
        Asserts::Preferred => Some(Name::PPreferredIdentity),
        Asserts::RemoteParty => Some(Name::RemotePartyId),
    };
    if let Some(name) = name.filter(|_| !withheld) {
        let mut value = format!("<{own}>");
        if trunk.asserts == Asserts::RemoteParty {
            let privacy = if hidden { "full" } else { "off" };
            let _ = write!(value, ";party=calling;screen=yes;privacy={privacy}");
        }
        headers.push(name, &value);
    }
    Ok(Caller {
        from: shown,
        headers,
    })
}

/// The URI `from` has on `trunk`.
fn uri_of(
    from: &Address,
    chosen: Option<&str>,
    trunk: &Trunk,
    settings: &Settings,
) -> Result<String, Refusal> {
    let own = &settings.mapping.domain;
    let mut line = String::with_capacity(64);
    match &trunk.identity {
        Identity::User => {
            let _ = write!(line, "sip:{}@{own}", settings.mapping.user_to_sip(from));
        }
        Identity::Number => {
            let number = chosen.or_else(|| settings.numbers.number(from));
            let number = number.ok_or_else(|| {
                Refusal::new(Reason::NotAllowed)
                    .with_text("You have no telephone number of your own to send this from.")
            })?;
            let user = uri::user_to_sip(&trunk.write_number(number));
            let _ = match &trunk.domain {
                Some(domain) => write!(line, "sip:{user}@{domain}"),
                None => write!(line, "sip:{user}@{own}"),
            };
            line.push_str(";user=phone");
        }
        Identity::Fixed(uri) => {
            let _ = write!(line, "{uri}");
        }
    }
    Ok(line)
}

fn malformed() -> Refusal {
    Refusal::new(Reason::JidMalformed).with_text("The address has no SIP form.")
}

const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::{Format, Numbers, Owner, Row};
    use crate::settings::tests::settings;
    use crate::trunk::tests::trunk;

    fn shown(asserts: Asserts, hidden: bool) -> String {
        shown_by(asserts, Privacy::Pass, hidden).unwrap()
    }

    fn shown_by(asserts: Asserts, privacy: Privacy, hidden: bool) -> Result<String, Refusal> {
        shown_with([("+15550001", false)], (hidden, None), asserts, privacy)
    }

    /// Juliet with these numbers, of which some are hidden, who hides for this call or chooses a number.
    fn shown_with<const N: usize>(
        rows: [(&str, bool); N],
        dialled: (bool, Option<&str>),
        asserts: Asserts,
        privacy: Privacy,
    ) -> Result<String, Refusal> {
        let mut settings = settings();
        let juliet = Address::new("juliet", "example.com").unwrap();
        settings.numbers = Numbers::with_rows(rows.map(|(number, hidden)| Row {
            number: number.into(),
            owner: Owner::User(juliet.clone()),
            hidden,
            outgoing: true,
            select: String::new(),
            country: None,
        }));
        let mut trunk = trunk("t", &["+*"], Some("192.0.2.1"));
        trunk.identity = Identity::Number;
        trunk.format = Format::Bare;
        trunk.asserts = asserts;
        trunk.privacy = privacy;
        let caller = caller(&juliet, dialled, &trunk, &settings)?;
        let mut text = caller.from.to_string();
        for (name, value) in caller.headers.iter() {
            let _ = write!(text, " | {}: {value}", name.as_str());
        }
        Ok(text)
    }

    #[test]
    fn a_trunk_learns_of_hidden_callers_what_it_is_trusted_with() {
        let usual = |hidden| shown(Asserts::Asserted, hidden);
        let by = |privacy, hidden| shown_by(Asserts::Asserted, privacy, hidden);
        let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid> | Privacy: id";
        assert!(usual(true).starts_with(&format!("{anonymous} | P-Asserted-Identity: ")));
        assert_eq!(by(Privacy::Withhold, true).unwrap(), anonymous);
        assert_eq!(by(Privacy::Withhold, false).unwrap(), usual(false));
        assert_eq!(by(Privacy::Always, false).unwrap(), usual(true));
        assert_eq!(by(Privacy::Always, true).unwrap(), usual(true));
        assert_eq!(by(Privacy::Never, false).unwrap(), usual(false));
        let refusal = by(Privacy::Never, true).unwrap_err();
        assert_eq!(refusal.reason, Reason::NotAllowed);
    }

    #[test]
    fn nobody_is_hidden_in_need() {
        let mut settings = settings();
        let juliet = Address::new("juliet", "example.com").unwrap();
        settings.numbers = Numbers::with_rows([Row {
            number: "+15550001".into(),
            owner: Owner::User(juliet.clone()),
            hidden: true,
            outgoing: true,
            select: String::new(),
            country: None,
        }]);
        let mut trunk = trunk("t", &["+*"], Some("192.0.2.1"));
        trunk.identity = Identity::Number;
        trunk.asserts = Asserts::Asserted;
        for privacy in [
            Privacy::Pass,
            Privacy::Withhold,
            Privacy::Always,
            Privacy::Never,
        ] {
            trunk.privacy = privacy;
            let caller = caller_in_need(&juliet, None, &trunk, &settings).unwrap();
            let own = "<sip:+15550001@sip.example.com;user=phone>";
            assert_eq!(caller.from.to_string(), own, "{privacy:?}");
            let headers: Vec<_> = caller.headers.iter().collect();
            assert_eq!(headers, [(Name::PAssertedIdentity, own)], "{privacy:?}");
        }
    }

    #[test]
    fn a_caller_is_shown_as_the_trunk_wants_it() {
        let own = "sip:15550001@sip.example.com;user=phone";
        assert_eq!(shown(Asserts::Nothing, false), format!("<{own}>"));
        assert_eq!(
            shown(Asserts::Asserted, false),
            format!("<{own}> | P-Asserted-Identity: <{own}>")
        );
        assert_eq!(
            shown(Asserts::RemoteParty, false),
            format!("<{own}> | Remote-Party-ID: <{own}>;party=calling;screen=yes;privacy=off")
        );
    }

    #[test]
    fn a_hidden_caller_is_known_to_the_trunk_alone() {
        let own = "sip:15550001@sip.example.com;user=phone";
        let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
        assert_eq!(
            shown(Asserts::Nothing, true),
            format!("{anonymous} | Privacy: id")
        );
        assert_eq!(
            shown(Asserts::Preferred, true),
            format!("{anonymous} | Privacy: id | P-Preferred-Identity: <{own}>")
        );
    }

    #[test]
    fn who_is_always_hidden_is_shown_by_a_number_chosen_that_is_not() {
        let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid> | Privacy: id";
        let rows = [("+15550001", true), ("+15550002", false)];
        let by = |rows, dialled, privacy| shown_with(rows, dialled, Asserts::Nothing, privacy);
        let usual = |rows, chosen| by(rows, (false, chosen), Privacy::Pass).unwrap();
        let second = "<sip:15550002@sip.example.com;user=phone>";
        assert_eq!(usual(rows, None), anonymous);
        assert_eq!(usual(rows, Some("+15550001")), anonymous);
        assert_eq!(usual(rows, Some("+15550002")), second);
        // Who hides for one call is hidden by whichever number.
        let once = by(rows, (true, Some("+15550002")), Privacy::Pass);
        assert_eq!(once.unwrap(), anonymous);
        // The first number counts, and not that another one is hidden.
        let other = [("+15550002", false), ("+15550001", true)];
        assert_eq!(usual(other, None), second);
        assert_eq!(usual(other, Some("+15550001")), anonymous);
        // Where it cannot be kept, nothing is sent.
        let refused = by(rows, (false, None), Privacy::Never);
        assert_eq!(refused.unwrap_err().reason, Reason::NotAllowed);
        assert!(by(rows, (false, Some("+15550002")), Privacy::Never).is_ok());
        // The trunk alone learns who it is, where it may.
        let asserted = shown_with(rows, (false, None), Asserts::Asserted, Privacy::Pass);
        let own = "<sip:15550001@sip.example.com;user=phone>";
        let known = format!("{anonymous} | P-Asserted-Identity: {own}");
        assert_eq!(asserted.unwrap(), known);
        let withheld = shown_with(rows, (false, None), Asserts::Asserted, Privacy::Withhold);
        assert_eq!(withheld.unwrap(), anonymous);
    }
}
