//! A plan carried out on real processes.
//!
//! Invariant: what died is back, and everything that can still arrive has, before the evidence is
//! gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::archive;
use super::death::{Death, Mortals};
use super::outbox;
use super::phone::{Call, Event, Phone};
use super::plan::{CALLED, Place, Plan};
use super::tally::Tally;
use super::verdict::{Evidence, judge};
use super::writer::{Ledger, Writer};
use crate::bench::Bench;
use crate::kamailio::GATEWAY;
use crate::server::{self, Running, Server};
use crate::tandem::{self, Tandem, Trunk};
use crate::wait;
use crate::xmpp::Xmpp;

/// The processes that runs follow one another on.
#[derive(Debug)]
pub struct Stage<'a> {
    bench: &'a Bench,
    server: Running,
    xmpp: Xmpp,
    tandem: Tandem,
}

impl<'a> Stage<'a> {
    /// Starts `server` with everybody's account, and Tandem beside it.
    pub fn set(bench: &'a Bench, server: Server) -> Result<Self> {
        let accounts = ["alice", "bob", "juliet", "romeo"];
        let running = server.start(
            bench,
            server::Setup {
                accounts: &accounts,
                ..server::Setup::default()
            },
        )?;
        let trunk = Trunk {
            name: "phone",
            matches: "*@sip.test",
            next_hop: PHONE,
            transport: "udp",
            inbound: vec!["127.0.0.1"],
            ..Trunk::default()
        };
        let mut setup = tandem::Setup::with_trunk(server, trunk);
        setup.log_level = LOG_LEVEL;
        let mut tandem = Tandem::start(bench, &setup)?;
        tandem.wait_paired()?;
        Ok(Self {
            bench,
            server: running,
            xmpp: Xmpp::start(bench)?,
            tandem,
        })
    }

    /// Carries out `plan`; an error names every number that ended as it must not.
    pub fn play(&mut self, plan: &Plan) -> Result<Tally> {
        let evidence = self.carry_out(plan)?;
        let (tally, faults) = judge(plan, &evidence);
        if faults.is_empty() {
            return Ok(tally);
        }
        let deaths: Vec<String> = evidence.deaths.iter().map(describe).collect();
        Err(anyhow!(
            "the promise is broken; {tally}\n  {}\n{:#?}\n{}",
            faults.join("\n  "),
            plan.points,
            deaths.join("\n")
        ))
    }

    /// How long messages waited for their commits, in microseconds, the shortest first.
    pub fn read_commits(&self) -> Result<Vec<u64>> {
        let log = self.tandem.component.read_log()?;
        let waits = log.lines().filter_map(|line| {
            let (_, wait) = line.split_once("committed micros=")?;
            wait.trim().parse().ok()
        });
        let mut waits: Vec<u64> = waits.collect();
        waits.sort_unstable();
        Ok(waits)
    }

    /// Ends Tandem, and looks whether its outbox is empty as it must be when all is said.
    pub fn strike(mut self) -> Result<()> {
        self.tandem.expect_clean_log(&[])?;
        for _ in 0..PATIENCE {
            self.tandem.component.terminate()?;
            let left = outbox::read(self.bench)?;
            if left.is_empty() {
                return Ok(());
            }
            // The last outcome may have been under way.
            self.tandem.component.start_again()?;
            sleep(GLANCE * 50);
        }
        bail!("the outbox does not empty: {:?}", outbox::read(self.bench)?)
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<Evidence> {
        let server = self.server.server;
        let name = format!("phone{}", plan.seed);
        let calls = make_calls(plan, server);
        let mut phone = Phone::start(self.bench, &name, PHONE, GATEWAY, &calls)?;
        let juliet = self.xmpp.log_in(server, "juliet", "balcony")?;
        let writer = Writer::new(plan, &self.xmpp, server);
        let mut deaths = Vec::new();
        thread::scope(|scope| {
            let writing = scope.spawn(|| writer.run());
            let outcome = (|| -> Result<()> {
                for point in &plan.points {
                    wait::until(&format!("{point:?}"), LIMIT, || {
                        let seen = count_at(point.place, &writer.ledger(), &phone)?;
                        Ok((seen >= point.count || writing.is_finished()).then_some(()))
                    })?;
                    sleep(point.linger);
                    let mut mortals = Mortals {
                        tandem: &mut self.tandem,
                        server: &mut self.server,
                        phone: &mut phone,
                    };
                    deaths.push(mortals.kill(self.bench, plan.victim, point)?);
                }
                // What has not ended then is named by the verdict, one by one.
                let _ = wait::until("the end of the stream", LIMIT, || {
                    has_drained(plan, &writer.ledger(), &phone)
                });
                Ok(())
            })();
            writer.stop();
            writing.join().map_err(|_| anyhow!("the writer panicked"))?;
            outcome
        })?;
        // A server that was killed has ended it already.
        let _ = juliet.log_out();
        Ok(Evidence {
            ledger: writer.ledger(),
            record: phone.read()?,
            deaths,
            archives: self.read_archives()?,
            forgetful: server == Server::Ejabberd,
        })
    }

    fn read_archives(&self) -> Result<BTreeMap<String, Vec<(String, String)>>> {
        let mut archives = BTreeMap::new();
        for user in CALLED.iter().take(CALLED.len() - 1) {
            let reader = self
                .xmpp
                .log_in_silently(self.server.server, user, "later")?;
            let archive = archive::read(&reader).with_context(|| format!("of {user}"))?;
            archives.insert((*user).to_owned(), archive);
            reader.log_out()?;
        }
        Ok(archives)
    }
}

/// The seeds of a test's runs: those of `TANDEM_PROMISE_SEEDS` (numbers between commas), as many
/// random ones as `TANDEM_PROMISE_RUNS` says, or `fixed`.
pub fn choose_seeds(fixed: &[u64]) -> Result<Vec<u64>> {
    if let Ok(seeds) = std::env::var("TANDEM_PROMISE_SEEDS") {
        let seeds: Vec<u64> = seeds
            .split(',')
            .map(|seed| seed.trim().parse().context("TANDEM_PROMISE_SEEDS"))
            .collect::<Result<_>>()?;
        ensure!(!seeds.is_empty(), "TANDEM_PROMISE_SEEDS names no seed");
        return Ok(seeds);
    }
    let Ok(runs) = std::env::var("TANDEM_PROMISE_RUNS") else {
        return Ok(fixed.to_vec());
    };
    let start = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut chance =
        super::chance::Chance::new(u64::try_from(start.as_nanos() & u128::from(u64::MAX))?);
    let runs: u64 = runs.parse().context("TANDEM_PROMISE_RUNS")?;
    Ok((0..runs).map(|_| chance.within(1000, 10_000_000)).collect())
}

fn make_calls(plan: &Plan, server: Server) -> Vec<Call> {
    let calls = CALLED.iter().enumerate();
    calls
        .map(|(call, called)| Call {
            from: format!("sip:caller{call}@sip.test"),
            to: format!("sip:{called}%40{}@{}", server.domain(), server.gateway()),
            bodies: (0..plan.calls).map(|n| plan.call_text(call, n)).collect(),
        })
        .collect()
}

fn count_at(place: Place, ledger: &Ledger, phone: &Phone) -> Result<usize> {
    let record = match place {
        Place::Written => return Ok(ledger.sent.len()),
        Place::Promised => return Ok(ledger.promised.len()),
        Place::Answered | Place::Asked | Place::Told => phone.read()?,
    };
    let counts = |event: &Event| match event {
        Event::Answered(_) => place == Place::Answered,
        Event::Asked(_) => place == Place::Asked,
        Event::Final { .. } => place == Place::Told,
        Event::Started | Event::Done => false,
    };
    Ok(record.iter().filter(|(_, event)| counts(event)).count())
}

/// Whether everything is sent, both ends know of all that was promised, and no call goes on.
fn has_drained(plan: &Plan, ledger: &Ledger, phone: &Phone) -> Result<Option<()>> {
    let record = phone.read()?;
    let over = matches!(record.last(), Some((_, Event::Done | Event::Answered(_))))
        && record
            .iter()
            .rev()
            .find(|(_, event)| matches!(event, Event::Done | Event::Started))
            .is_some_and(|(_, event)| *event == Event::Done);
    let mut ended: BTreeSet<&str> = BTreeSet::new();
    for (_, event) in &record {
        if let Event::Answered(answered) = event
            && answered.status != 480
        {
            ended.insert(&answered.body);
        }
    }
    let known = ledger.promised.keys().all(|number| {
        let refused = plan.refuses(*number);
        ledger.errors.contains_key(number)
            || (!refused && ended.contains(plan.line_text(*number).as_str()))
    });
    Ok((over && known && ledger.sent.len() == plan.lines.len()).then_some(()))
}

fn describe(death: &Death) -> String {
    let outbox = death.outbox.as_ref().map(BTreeSet::len);
    format!(
        "{:?} stopped at {:.3}, was killed at {:.3}, was back at {:.3}; rows in the outbox: {outbox:?}",
        death.victim, death.from, death.killed, death.until
    )
}

/// Where the SIP peer listens.
const PHONE: &str = "127.0.0.1:5090";
/// As usual, and every commit.
const LOG_LEVEL: &str = "info,tandem_component::shell::run=trace";
/// Longer than any wait of Tandem's in these runs.
const LIMIT: Duration = Duration::from_secs(45);
const GLANCE: Duration = Duration::from_millis(10);
const PATIENCE: usize = 5;
