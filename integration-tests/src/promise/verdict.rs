//! The join of both ends' records, the ledger and the outbox: what became of every number.
//!
//! Invariant: a number that fits no class is a fault, and so is a copy too many or out of order.

mod from_sip;
mod from_xmpp;

use std::collections::BTreeMap;

use super::death::Death;
use super::phone::Dated;
use super::plan::Plan;
use super::tally::{Class, Tally};
use super::writer::Ledger;

/// All that is known about a run when it is over.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What the XMPP senders did and were told.
    pub ledger: Ledger,
    /// The SIP peer's record.
    pub record: Vec<Dated>,
    /// Who died.
    pub deaths: Vec<Death>,
    /// The archive of each XMPP user, as sender and text.
    pub archives: BTreeMap<String, Vec<(String, String)>>,
    /// Whether the server forgets by kill -9 what it was told last (ejabberd's Mnesia does).
    pub forgetful: bool,
}

/// Counts the classes, and names what fits none.
pub fn judge(plan: &Plan, evidence: &Evidence) -> (Tally, Vec<String>) {
    let mut bench = Bench::default();
    bench.tally.deaths = evidence.deaths.len();
    from_xmpp::judge(plan, evidence, &mut bench);
    from_sip::judge(plan, evidence, &mut bench);
    (bench.tally, bench.faults)
}

/// What is found while judging.
#[derive(Debug, Default)]
struct Bench {
    tally: Tally,
    faults: Vec<String>,
}

impl Bench {
    fn fault(&mut self, text: String) {
        self.faults.push(text);
    }

    /// A fault when `numbers` do not rise.
    fn check_order(&mut self, what: &str, numbers: &[usize]) {
        for pair in numbers.windows(2) {
            if let [first, second] = pair
                && first >= second
            {
                self.fault(format!("{what}: {second} came behind {first}"));
            }
        }
    }
}

fn count(counts: &mut BTreeMap<Class, usize>, class: Class) {
    *counts.entry(class).or_default() += 1;
}

#[cfg(test)]
mod tests;
