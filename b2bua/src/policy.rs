//! Which numbers users may reach, and how much of it (specs 10.8, T1; the configuration's `[policy]`).
//!
//! Closed by default: numbers of the own country, and of it none that is known to be dear; the rest
//! of the world when the admin says so.

use tandem_shared::address::Address;
use tandem_shared::refusal::{Reason, Refusal};

pub mod approval;
pub mod usage;

pub use approval::{Approval, Approvals};
pub use usage::{Allowance, Usage};

/// Which numbers may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
    /// What numbers of the own country begin with.
    home: Option<String>,
    /// How much each user and all together may use.
    pub allowance: Allowance,
    /// Whether an admin has to approve of each user who reaches numbers abroad.
    pub approve_abroad: bool,
    /// Those who approve. They need no approval themselves.
    pub admins: Vec<Address>,
}

/// Numbers that begin so may be reached, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `+1`, `+44900`; empty for every number.
    pub prefix: String,
    /// Whether they may.
    pub allows: bool,
    /// Where it comes from, for people.
    pub origin: Origin,
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `policy.allow`.
    Allow,
    /// `policy.deny`.
    Deny,
    /// `numbering.country`.
    Country,
    /// [`DEAR`].
    Dear,
}

/// What the policy says to a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may be reached.
    pub allowed: bool,
    /// By which rule, for people.
    pub rule: String,
}

impl Policy {
    /// The policy of an installation in `country`, with the admin's rules.
    #[must_use]
    pub fn new(country: Option<&str>, allow: &[String], deny: &[String]) -> Self {
        let rule = |prefix: &str, allows, origin| Rule {
            prefix: prefix.trim_end_matches('*').to_owned(),
            allows,
            origin,
        };
        let home = country.map(|code| format!("+{code}"));
        let own = home.iter().map(|code| rule(code, true, Origin::Country));
        let dear = DEAR.iter().map(|prefix| rule(prefix, false, Origin::Dear));
        let allow = allow.iter().map(|text| rule(text, true, Origin::Allow));
        let deny = deny.iter().map(|text| rule(text, false, Origin::Deny));
        Self {
            rules: own.chain(dear).chain(allow).chain(deny).collect(),
            home,
            allowance: Allowance::default(),
            approve_abroad: false,
            admins: Vec::new(),
        }
    }

    /// The same, with these bounds.
    #[must_use]
    pub fn with_allowance(mut self, allowance: Allowance) -> Self {
        self.allowance = allowance;
        self
    }

    /// The same, with these admins, who approve of users that reach numbers abroad or are not asked.
    #[must_use]
    pub fn with_approval(mut self, approve_abroad: bool, admins: Vec<Address>) -> Self {
        self.approve_abroad = approve_abroad;
        self.admins = admins;
        self
    }

    /// What it says to `number`: the rule with the longest prefix wins, a refusal among equals,
    /// but for what the admin allows outright. Extensions and service codes are the business of the
    /// trunks that take them, unless a rule refuses them.
    #[must_use]
    pub fn check(&self, number: &str) -> Verdict {
        let fitting = self
            .rules
            .iter()
            .filter(|rule| number.starts_with(rule.prefix.as_str()));
        let rank = |rule: &&Rule| {
            let weight = match rule.origin {
                Origin::Country => 0_u8,
                Origin::Dear => 1,
                Origin::Allow => 2,
                Origin::Deny => 3,
            };
            (rule.prefix.len(), weight)
        };
        let global = number.starts_with('+');
        match fitting.max_by_key(rank) {
            Some(rule) if rule.allows || global || rule.origin == Origin::Deny => Verdict {
                allowed: rule.allows,
                rule: rule.to_string(),
            },
            Some(_) | None => Verdict {
                allowed: !global,
                rule: match global {
                    true => {
                        "no rule allows it; numbers abroad are off until policy.allow names them"
                            .into()
                    }
                    false => "no global number: whoever takes it decides".into(),
                },
            },
        }
    }

    /// Whether `number` is abroad, or dear as if it were: the islands of the American plan look
    /// like numbers of the own country.
    #[must_use]
    pub fn is_abroad(&self, number: &str) -> bool {
        let home = self.home.as_deref();
        let at_home = home.is_some_and(|home| number.starts_with(home));
        number.starts_with('+')
            && (!at_home || DEAR.iter().any(|prefix| number.starts_with(prefix)))
    }

    /// Whether any global number may be reached at all.
    #[must_use]
    pub fn opens_any(&self) -> bool {
        self.rules.iter().any(|rule| rule.allows)
    }
}

impl Verdict {
    /// What the user is told.
    ///
    /// # Errors
    /// The refusal a user reads.
    pub fn allow(&self) -> Result<(), Refusal> {
        match self.allowed {
            true => Ok(()),
            false => Err(Refusal::new(Reason::NotAllowed)
                .with_text("This number may not be reached from here. Ask your administrator.")),
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { prefix, .. } = self;
        match self.origin {
            Origin::Allow => write!(f, "policy.allow \"{prefix}*\""),
            Origin::Deny => write!(f, "policy.deny \"{prefix}*\""),
            Origin::Country => write!(f, "numbering.country, \"{prefix}*\""),
            Origin::Dear => write!(
                f,
                "\"{prefix}*\" is known to be dear; policy.allow opens it"
            ),
        }
    }
}

/// What costs more than its country's other numbers, or is where fraud goes: satellites and
/// international networks, premium services, and islands in the American plan.
pub const DEAR: [&str; 48] = [
    "+870", "+878", "+881", "+882", "+883", "+888", "+979", "+1900", "+1976", "+1242", "+1246",
    "+1264", "+1268", "+1284", "+1345", "+1441", "+1473", "+1649", "+1658", "+1664", "+1721",
    "+1758", "+1767", "+1784", "+1809", "+1829", "+1849", "+1868", "+1869", "+1876", "+3389",
    "+3190", "+3280", "+34803", "+34806", "+34807", "+39199", "+39899", "+41900", "+41901",
    "+41906", "+43900", "+43930", "+44700", "+4487", "+4490", "+49137", "+49900",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn abroad_and_dear_are_closed_until_they_are_opened() {
        let policy = Policy::new(Some("1"), &[], &[]);
        for (number, allowed) in [
            ("+15551234567", true),
            ("+4930123", false),
            ("+19005551234", false),
            ("+18095551234", false),
            ("+88213300000", false),
            ("1001", true),
            ("*97", true),
        ] {
            assert_eq!(policy.check(number).allowed, allowed, "{number}");
        }
        let nobody = Policy::new(None, &[], &[]);
        assert!(!nobody.check("+15551234567").allowed);
        let text = nobody.check("+1555").allow().unwrap_err().text.unwrap();
        assert!(text.contains("administrator"), "{text}");
    }

    #[test]
    fn the_longest_rule_wins_and_the_admin_has_the_last_word() {
        let allow = strings(&["+44*", "+1900555*", "+*"]);
        let policy = Policy::new(Some("1"), &allow, &strings(&["+4420*", "+44207*", "*99"]));
        for (number, rule, allowed) in [
            ("+441234", "policy.allow \"+44*\"", true),
            ("+44201", "policy.deny \"+4420*\"", false),
            ("+44207", "policy.deny \"+44207*\"", false),
            ("+19005551", "policy.allow \"+1900555*\"", true),
            ("+19001111", "\"+1900*\" is known", false),
            ("+4930", "policy.allow \"+*\"", true),
            ("+4490012", "\"+4490*\" is known", false),
        ] {
            let verdict = policy.check(number);
            assert!(verdict.rule.starts_with(rule), "{number}: {}", verdict.rule);
            assert_eq!(verdict.allowed, allowed, "{number}");
        }
        assert!(!policy.check("*99").allowed && policy.check("*98").allowed);
        // A rule for the very same prefix is the admin's.
        let open = Policy::new(None, &strings(&["+881*"]), &[]);
        assert!(open.check("+8816").allowed);
    }
}
