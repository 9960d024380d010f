//! One loop: carry out what the core asks, wait for the next thing, hand it in.

use super::connection::{Connection, News};
use super::store::{self, Store};
use crate::action::Action;
use crate::clock::Now;
use crate::config::Config;
use crate::core::Core;
use anyhow::Context;
use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};
use tandem_shared::bus::local::Local;
use tandem_shared::bus::url::Url;
use tandem_shared::bus::{Bus, Envelope, Incoming, SendError};
use tandem_shared::mint::Mint;
use tandem_shared::tally::tally;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Inputs taken before actions are carried out.
const ROUND: usize = 256;
/// Actions that may wait for a commit before nothing more is read.
const GATHERED: usize = 20_000;
/// How long an orderly end may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often the counters are logged.
const REPORT: Duration = Duration::from_secs(600);

/// Runs the component until SIGTERM or SIGINT.
///
/// # Errors
/// When the store cannot be opened or the system refuses something basic.
pub fn run(config: Config) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            // First of all: whoever ends us while we start means an end in order, too.
            let stop = Stop::new()?;
            Shell::new(config)?.run(stop).await
        })
}

struct Shell {
    core: Core,
    bus: Local,
    stream: Connection,
    store: Store,
    /// Actions of this round that wait for the commit of the round before.
    round: Vec<Action>,
    committing: bool,
    /// Since when the first record of the round that is being committed waits.
    committing_since: Option<Instant>,
    /// The same for the round behind it.
    waiting_since: Option<Instant>,
    /// The longest such wait: a stanza that dies with the process is at most this old.
    longest_wait: Duration,
    /// Envelopes the core has published that wait for a commit.
    unpublished: usize,
    /// Envelopes the bus had no room for.
    outgoing: VecDeque<Box<Envelope>>,
}

impl Shell {
    fn new(config: Config) -> anyhow::Result<Self> {
        let seed = || {
            let mut seed = [0; 16];
            getrandom::fill(&mut seed).map(|()| seed)
        };
        let (store, records) = Store::open(&config.store)?;
        let epoch = u64::try_from(Mint::new(seed()?).number() >> 75)?;
        let Url::Local(path) = &config.bus.url;
        let bus = Local::dial(path);
        let stream = Connection::new(
            config.xmpp.clone(),
            config.mapping.domain.clone(),
            Mint::new(seed()?),
        );
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            domain = config.mapping.domain,
            server = config.xmpp.server,
            bus = %path.display(),
            "tandem-component starts"
        );
        let mut core = Core::new(config, Mint::new(seed()?), epoch, now())
            .context("mapping.domain or xmpp.ping is no JID")?;
        core.restore(records, now());
        Ok(Self {
            core,
            bus,
            stream,
            store,
            round: Vec::new(),
            committing: false,
            committing_since: None,
            waiting_since: None,
            longest_wait: Duration::ZERO,
            unpublished: 0,
            outgoing: VecDeque::new(),
        })
    }

    async fn run(mut self, mut stop: Stop) -> anyhow::Result<()> {
        let mut report = tokio::time::interval(REPORT);
        let (mut news, mut incoming) = (Vec::new(), Vec::new());
        let mut leave_by: Option<Instant> = None;
        loop {
            self.carry_out();
            if let Some(by) = leave_by
                && (now().instant >= by || self.is_idle())
            {
                break;
            }
            // While the store is slow, what peers say waits in the sockets.
            let ready = self.round.len() < GATHERED;
            let deadline = [self.core.poll_timeout(), leave_by];
            let deadline = deadline.into_iter().flatten().min();
            tokio::select! {
                Some(round) = self.store.committed(), if self.committing => {
                    self.note_commit();
                    self.perform(round);
                }
                () = self.stream.recv(&mut news, ROUND), if ready => {
                    for news in news.drain(..) {
                        self.handle_news(news);
                    }
                }
                () = self.bus.recv(&mut incoming, ROUND), if ready && leave_by.is_none() => {
                    for incoming in incoming.drain(..) {
                        self.handle_bus(incoming);
                    }
                }
                () = sleep_until(deadline) => self.core.handle_timeout(now()),
                () = stop.asked() => {
                    if leave_by.is_some() {
                        tracing::warn!("told to end a second time; ending at once");
                        return Ok(());
                    }
                    tracing::info!("told to end");
                    leave_by = Some(now().instant + FAREWELL);
                }
                _ = report.tick() => self.report(),
            }
        }
        self.leave().await;
        Ok(())
    }

    /// Collects what the core asks for and carries it out, records first.
    fn carry_out(&mut self) {
        self.publish();
        self.gather();
        let taken = self.unpublished + self.outgoing.len();
        let room = self.bus.room().saturating_sub(taken);
        self.core.handle_bus_room(room);
        self.gather();
        if self.committing || self.round.is_empty() {
            return;
        }
        let round = std::mem::take(&mut self.round);
        if round.iter().any(store::is_record) {
            self.committing = true;
            self.committing_since = self.waiting_since.take();
            self.store.commit(round);
        } else {
            self.perform(round);
        }
    }

    fn gather(&mut self) {
        while let Some(action) = self.core.poll_action() {
            self.unpublished += usize::from(matches!(action, Action::Publish(_)));
            if self.waiting_since.is_none() && store::is_record(&action) {
                self.waiting_since = Some(now().instant);
            }
            self.round.push(action);
        }
    }

    /// Puts on the bus what waits for it, in order. What finds no bus is let go: the core hears
    /// that the link is lost, and says it again.
    fn publish(&mut self) {
        while let Some(envelope) = self.outgoing.front() {
            match self.bus.send(envelope) {
                Err(SendError::Full) => return,
                Err(error) => tracing::debug!(%error, "an envelope stayed here"),
                Ok(()) => {}
            }
            self.outgoing.pop_front();
        }
    }

    fn note_commit(&mut self) {
        self.committing = false;
        if let Some(since) = self.committing_since.take() {
            let wait = now().instant.saturating_duration_since(since);
            tracing::trace!(micros = wait.as_micros(), "committed");
            self.longest_wait = self.longest_wait.max(wait);
        }
    }

    fn perform(&mut self, round: Vec<Action>) {
        for action in round {
            match action {
                Action::Send(stanza) => self.stream.send(&stanza),
                Action::Publish(envelope) => {
                    self.unpublished = self.unpublished.saturating_sub(1);
                    self.outgoing.push_back(envelope);
                }
                Action::CloseStream => self.stream.close(),
                Action::CloseBus => {
                    self.publish();
                    self.bus.kick();
                    self.bus.close();
                }
                Action::Store(_) | Action::Forget(_) => {}
            }
        }
        self.publish();
        self.stream.flush();
        self.bus.kick();
    }

    fn handle_news(&mut self, news: News) {
        match news {
            News::Opened => self.core.handle_stream_opened(now()),
            News::Closed => self.core.handle_stream_closed(now()),
            News::Stanza(stanza) => self.core.handle_stanza(&stanza, now()),
            News::Skipped(tag, defect) => self.core.handle_skipped(&tag, defect, now()),
        }
    }

    fn handle_bus(&mut self, incoming: Incoming) {
        self.core.handle_bus(incoming, now());
    }

    /// Whether nothing is under way that a moment's wait would finish.
    fn is_idle(&self) -> bool {
        let (_, unconfirmed, _) = self.core.held();
        unconfirmed == 0 && !self.committing && self.round.is_empty() && self.stream.is_flushed()
    }

    async fn leave(&mut self) {
        self.core.say_goodbye();
        self.carry_out();
        let farewell = async {
            while self.committing
                && let Some(round) = self.store.committed().await
            {
                self.note_commit();
                self.perform(round);
                self.carry_out();
            }
            self.bus.flush().await;
            // The server may hand us stanzas until it has read that we close; they are stored.
            let mut open = self.stream.finish();
            let mut news = Vec::new();
            while open || self.committing {
                tokio::select! {
                    () = self.stream.recv(&mut news, ROUND), if open => {
                        for news in news.drain(..) {
                            open &= !matches!(news, News::Closed);
                            self.handle_news(news);
                        }
                    }
                    Some(round) = self.store.committed(), if self.committing => {
                        self.note_commit();
                        self.perform(round);
                    }
                }
                self.carry_out();
            }
        };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!("somebody does not listen to our goodbye; leaving without it");
        }
        self.report();
        tracing::info!("tandem-component ends");
    }

    fn report(&self) {
        let (outbox, inbox, pairs) = self.core.held();
        let calls = self.core.calls_held().0;
        let counters = self.core.counters();
        let longest_commit_ms = self.longest_wait.as_millis();
        tracing::info!(
            outbox,
            inbox,
            pairs,
            calls,
            longest_commit_ms,
            unusable = counters.unusable,
            messages = tally(&counters.messages.named()),
            call_legs = tally(&counters.calls.named()),
            "so far"
        );
    }
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: SystemTime::now(),
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// SIGTERM and SIGINT.
struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
