//! One death: who, when, and what the outbox held.
//!
//! Invariant: the outbox is read while the component is dead.

use std::collections::BTreeSet;
use std::thread::sleep;

use anyhow::Result;

use super::outbox;
use super::phone::Phone;
use super::plan::{Point, Victim};
use super::writer::now;
use crate::bench::Bench;
use crate::process::{Process, Signal};
use crate::server::Running;
use crate::tandem::Tandem;

/// A death that happened. Times are seconds since 1970.
#[derive(Clone, Debug)]
pub struct Death {
    /// Who died.
    pub victim: Victim,
    /// When the victim did its last work: it may have stood still before it died.
    pub from: f64,
    /// When it was dead.
    pub killed: f64,
    /// When it was started again and ready.
    pub until: f64,
    /// The ids of the messages its outbox held, when the component died.
    pub outbox: Option<BTreeSet<String>>,
}

/// Everybody who may die.
#[derive(Debug)]
pub struct Mortals<'a> {
    /// Tandem's processes.
    pub tandem: &'a mut Tandem,
    /// The XMPP server.
    pub server: &'a mut Running,
    /// The SIP peer.
    pub phone: &'a mut Phone,
}

impl Mortals<'_> {
    /// kill -9 as `point` says, and the return.
    pub fn kill(&mut self, bench: &Bench, victim: Victim, point: &Point) -> Result<Death> {
        let from = now();
        if !point.frozen.is_zero() {
            for process in self.processes(victim) {
                process.kill(Signal::SIGSTOP)?;
            }
            sleep(point.frozen);
        }
        for process in self.processes(victim) {
            process.kill_now()?;
        }
        let killed = now();
        let outbox = match victim {
            Victim::Component | Victim::Both => Some(outbox::read(bench)?),
            Victim::B2bua | Victim::Server | Victim::Phone => None,
        };
        sleep(point.down);
        match victim {
            Victim::Server => self.server.start_again()?,
            Victim::Component | Victim::B2bua | Victim::Both | Victim::Phone => {
                for process in self.processes(victim) {
                    process.start_again()?;
                }
            }
        }
        Ok(Death {
            victim,
            from,
            killed,
            until: now(),
            outbox,
        })
    }

    fn processes(&mut self, victim: Victim) -> Vec<&mut Process> {
        match victim {
            Victim::Component => vec![&mut self.tandem.component],
            Victim::B2bua => vec![&mut self.tandem.b2bua],
            // The b2bua first: what it said to a component that is stopped already is lost with that.
            Victim::Both => vec![&mut self.tandem.b2bua, &mut self.tandem.component],
            Victim::Server => vec![&mut self.server.process],
            Victim::Phone => vec![&mut self.phone.process],
        }
    }
}
