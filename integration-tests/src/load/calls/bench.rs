//! What `just bench-calls` measures, and its tables.
//!
//! Invariant: both processes share one processor core, the load has the other.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::drive::{Drive, Load, Outcome};
use super::phones::Phones;
use super::users::Users;
use crate::bench::Bench;
use crate::load::case::Direction;
use crate::load::media::subject::memory;
use crate::load::meter::{Meter, difference};
use crate::load::path::start_tandem;
use crate::load::stream::Stream;
use crate::server::{COMPONENTS, Server};
use crate::tandem::Tandem;
use crate::wait::{self, GENEROUS};

/// Tandem between the load's two ends.
pub struct Setting {
    tandem: Tandem,
    drive: Drive,
}

/// A rate and what came of it.
pub struct Case {
    /// Who called.
    pub direction: Direction,
    /// Calls a second that were due.
    pub rate: f64,
    /// What came of them.
    pub outcome: Outcome,
    /// CPU of a call in milliseconds: component and b2bua.
    pub cost: [f64; 2],
    /// The share of their core that both used.
    pub share: f64,
}

impl Setting {
    /// Starts both processes and waits until a call gets through each way.
    pub fn open(bench: &Bench) -> Result<Self> {
        let server = Server::Prosody;
        let listener = TcpListener::bind(COMPONENTS)?;
        // Nobody connects: it would end calls that are only to be held.
        let b2bua = "[call]\nmax = 20000\n[media]\naddresses = [\"127.0.0.1\"]\nthreads = 1\nconnect = 600\n\
                     sip_ports = \"11000-60000\"\n";
        let tandem = start_tandem(bench, server, [b2bua, "[call]\nmax = 20000\n"])?;
        for id in [tandem.component.id(), tandem.b2bua.id()] {
            // All threads that are there, and those to come.
            let pinned = Command::new("taskset")
                .args(["-acp", "1", &id.to_string()])
                .output()?;
            ensure!(pinned.status.success(), "taskset failed");
        }
        let stream = Stream::accept(&listener)?;
        let drive = Drive {
            users: Users::new(stream, server.gateway()),
            phones: Phones::new(server.gateway())?,
            next: 0,
        };
        let mut setting = Self { tandem, drive };
        for direction in Direction::BOTH {
            wait::until("a call to get through", GENEROUS, || {
                let load = Load {
                    direction,
                    rate: 10.0,
                    time: Duration::from_millis(100),
                    ends: true,
                };
                Ok((setting.drive.run(load)?.ended > 0).then_some(()))
            })?;
        }
        Ok(setting)
    }

    /// So many calls a second, ended as soon as they are answered.
    pub fn measure(&mut self, direction: Direction, rate: f64, time: Duration) -> Result<Case> {
        let processes = [
            ("component", self.tandem.component.id()),
            ("b2bua", self.tandem.b2bua.id()),
        ];
        let meter = Meter::new(&processes);
        let before = meter.read()?;
        let load = Load {
            direction,
            rate,
            time,
            ends: true,
        };
        let outcome = self.drive.run(load)?;
        let used = difference(&before, &meter.read()?);
        let milliseconds = |at: usize| used.get(at).map_or(0.0, |(_, used)| *used as f64 / 1e6);
        let calls = outcome.answered.max(1) as f64;
        let (component, b2bua) = (milliseconds(0), milliseconds(1));
        Ok(Case {
            direction,
            rate,
            share: (component + b2bua) / 1e3 / outcome.time.as_secs_f64(),
            cost: [component / calls, b2bua / calls],
            outcome,
        })
    }

    /// KiB that a call takes while it lasts, and what the second such crowd leaves behind: component
    /// and b2bua. The first one's room is used again.
    pub fn measure_memory(&mut self, calls: u32) -> Result<[(f64, f64); 2]> {
        let before = self.read_memory()?;
        let (held, after) = self.hold(calls)?;
        let (_, again) = self.hold(calls)?;
        let each = |now: u64, then: u64| now.saturating_sub(then) as f64 / f64::from(calls);
        let [component, b2bua] = [0, 1].map(|at: usize| {
            let of = |reading: &[u64; 2]| reading.get(at).copied().unwrap_or_default();
            (each(of(&held), of(&before)), each(of(&again), of(&after)))
        });
        Ok([component, b2bua])
    }

    /// Holds so many calls at once and ends them: memory while they last, and when SIP has forgotten them.
    fn hold(&mut self, calls: u32) -> Result<([u64; 2], [u64; 2])> {
        let directory = format!("/proc/{}/fd", self.tandem.b2bua.id());
        let descriptors = || -> Result<usize> { Ok(fs::read_dir(&directory)?.count()) };
        let open = descriptors()?;
        let first = self.drive.next + 1;
        let outcome = self.drive.run(Load {
            direction: Direction::ToSip,
            rate: CROWDING,
            time: Duration::from_secs_f64(f64::from(calls) / CROWDING),
            ends: false,
        })?;
        let answered = outcome.answered;
        ensure!(
            answered == u64::from(calls),
            "only {answered} were answered"
        );
        let held = self.read_memory()?;
        let drive = &mut self.drive;
        for call in first..=drive.next {
            drive.users.end(call, &format!("load-{call}"));
        }
        wait::until("the end of all calls", GENEROUS, || {
            drive.attend()?;
            Ok((descriptors()? <= open).then_some(()))
        })?;
        let forgotten = Instant::now() + MEMORY;
        wait::until("the end of all transactions", MEMORY * 2, || {
            drive.attend()?;
            Ok((Instant::now() > forgotten).then_some(()))
        })?;
        Ok((held, self.read_memory()?))
    }

    fn read_memory(&self) -> Result<[u64; 2]> {
        let Tandem {
            component, b2bua, ..
        } = &self.tandem;
        Ok([memory(component.id())?, memory(b2bua.id())?])
    }
}

/// Longer than any transaction is remembered for the repeats of its request (RFC 3261 §17).
const MEMORY: Duration = Duration::from_secs(34);
/// Calls a second while a crowd gathers.
const CROWDING: f64 = 100.0;

/// The head of the table.
pub const HEAD: &str = "\
| calls | due/s | answered | ended | refused or lost | set up p50 / p99 ms | CPU ms a call: component | b2bua | their core |
|---|---|---|---|---|---|---|---|---|";

/// One line of it.
pub fn line(case: &Case) -> String {
    let outcome = &case.outcome;
    let at = |percent| outcome.setup.percentile(percent).unwrap_or_default();
    let [component, b2bua] = case.cost;
    format!(
        "| {} | {:.0} | {} | {} | {} | {:.2} / {:.2} | {component:.2} | {b2bua:.2} | {:.0} % |",
        case.direction.name(),
        case.rate,
        outcome.answered,
        outcome.ended,
        outcome.begun - outcome.ended,
        at(50),
        at(99),
        case.share * 100.0,
    )
}
