//! The loop of the process: sockets, bus, store and clock around the core.
//!
//! What the core asks for is carried out in rounds: first the store, then the bus, then SIP. While a
//! round is being stored the next one gathers; nothing else is waited for.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use tandem_shared::bus::local::Local;
use tandem_shared::bus::url::Url;
use tandem_shared::bus::{Bus, Envelope, Incoming, SendError};
use tandem_shared::config::ConfigError;
use tandem_shared::mint::Mint;
use tandem_shared::tally::tally;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver, UnboundedReceiver};
use tokio::time::timeout;

use super::admin::{self, Question};
use super::answers::Answers;
use super::media::Media;
use super::resolve::Resolver;
use super::store::Store;
use super::store::seal::Sealer;
use super::transport::{Transport, TransportEvent};
use crate::action::Action;
use crate::clock::Now;
use crate::config::Config;
use crate::core::Core;
use crate::dns::{Answer, Query};
use crate::media::Event as MediaEvent;

/// Runs the process until it is told to end.
///
/// # Errors
/// When it cannot begin: a socket, the database or the bus.
pub fn run(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut process = Process::start(&config)?;
        process.run().await
    })
}

struct Process {
    core: Core,
    transport: Transport,
    bus: Local,
    media: Media,
    /// What media says.
    heard: UnboundedReceiver<MediaEvent>,
    resolver: Resolver,
    /// What name servers say.
    answers: UnboundedReceiver<(Query, Answer)>,
    /// What admins ask.
    questions: Receiver<Question>,
    store: Store,
    /// Answers to admins that wait for it.
    held_answers: Answers,
    signals: Signals,
    /// Asked for, not yet begun.
    gathered: Vec<Action>,
    /// To be carried out once the store has written.
    storing: Option<Vec<Action>>,
    packets: Vec<TransportEvent>,
    envelopes: Vec<Incoming>,
    report_at: Instant,
    /// Set when the process is to end: until when open requests are waited for.
    ending: Option<Instant>,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

enum Woken {
    Packets,
    Envelopes,
    Media(MediaEvent),
    Resolved(Query, Answer),
    Question(Question),
    /// Whether the rows are written.
    Stored(bool),
    Time,
    Signal,
}

impl Process {
    fn start(config: &Config) -> anyhow::Result<Self> {
        // First of all: whoever ends us while we start means an end in order, too.
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        let Url::Local(path) = &config.bus.url;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            domain = config.mapping.domain,
            bus = %path.display(),
            "tandem-b2bua starts"
        );
        if config.sip.stun.is_some() && config.media.public.is_empty() {
            tracing::info!(
                "sip.stun finds the public address of SIP alone; \
                behind a NAT media.public has to name that of sound"
            );
        }
        let key = config.accounts.key.reveal();
        let sealer = (!key.is_empty()).then(|| Sealer::new(key));
        let store = Store::open(&config.store.path, config.store.durability, sealer);
        let (store, restored) = store.map_err(blame)?;
        let trunks = config.trunks()?;
        let transport = Transport::bind(config.transport(config.admission(&trunks)));
        let transport = transport.map_err(blame)?;
        for (protocol, address) in transport.listening() {
            tracing::info!(transport = protocol.as_str(), %address, "listening");
        }
        let settings = config.settings(&trunks, transport.listening())?;
        let bus = Local::listen(path)
            .with_context(|| format!("bus.url {}: cannot be listened on", path.display()))
            .map_err(blame)?;
        let socket = config.admin_socket();
        let questions = admin::listen(&socket)
            .with_context(|| format!("admin.socket {}: cannot be listened on", socket.display()))
            .map_err(blame)?;
        let (say, heard) = mpsc::unbounded_channel();
        // Once the process ends nobody hears what media says.
        let media = Media::start(&config.media(), move |event| drop(say.send(event)))?;
        let (tell, answers) = mpsc::unbounded_channel();
        let resolver = Resolver::new(&config.sip.nameservers, tell);
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).context("no random numbers")?;
        let now = now();
        let epoch = u64::try_from(now.unix_ms()).unwrap_or(0);
        let mut core = Core::new(settings, Mint::new(seed), restored.key, epoch);
        core.restore(restored.rows, now);
        core.restore_locked(restored.locked);
        core.begin(now);
        Ok(Self {
            core,
            transport,
            bus,
            media,
            heard,
            resolver,
            answers,
            questions,
            store,
            held_answers: Answers::default(),
            signals,
            gathered: Vec::new(),
            storing: None,
            packets: Vec::new(),
            envelopes: Vec::new(),
            report_at: now.instant + REPORT,
            ending: None,
        })
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        loop {
            self.tick();
            self.perform_gathered().await;
            if self.has_ended() {
                break;
            }
            match self.wait().await {
                Woken::Packets => self.take_packets(),
                Woken::Envelopes => self.take_envelopes(),
                Woken::Media(event) => self.core.handle_media(event, now()),
                Woken::Question(question) => self.answer(question),
                Woken::Resolved(query, answer) => self.core.handle_dns(query, answer, now()),
                Woken::Stored(written) => {
                    self.held_answers.stored(written);
                    if let Some(actions) = self.storing.take() {
                        self.perform(actions).await;
                    }
                }
                Woken::Time => {}
                Woken::Signal if self.ending.is_some() => {
                    tracing::warn!("told to end twice; ending at once");
                    return Ok(());
                }
                Woken::Signal => {
                    tracing::info!("told to end");
                    self.ending = Some(now().instant + DRAIN);
                    self.core.close(now());
                }
            }
        }
        self.end().await;
        Ok(())
    }

    /// Lets due timers fire, and collects what the core asks for.
    fn tick(&mut self) {
        let now = now();
        if self.core.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.core.handle_timeout(now);
        }
        while let Some(action) = self.core.poll_action() {
            self.gathered.push(action);
        }
        if now.instant >= self.report_at {
            self.report_at = now.instant + REPORT;
            self.report();
        }
    }

    /// Answers an admin: at once, or when the rows that the question changed are written.
    fn answer(&mut self, (ask, asker): Question) {
        let answer = self.core.ask(&ask, now());
        let before = self.gathered.len();
        self.collect();
        match self.gathered.iter().skip(before).any(is_row) {
            true => self.held_answers.hold(asker, answer),
            // Whoever asked may be gone.
            false => drop(asker.send(answer)),
        }
    }

    /// Begins the next round, unless one is being stored.
    async fn perform_gathered(&mut self) {
        if self.storing.is_some() || self.gathered.is_empty() {
            return;
        }
        let mut actions = std::mem::take(&mut self.gathered);
        let batch: Vec<Action> = actions.extract_if(.., |action| is_row(action)).collect();
        if batch.is_empty() {
            self.perform(actions).await;
            self.collect();
        } else {
            self.store.write(batch);
            self.held_answers.begin();
            self.storing = Some(actions);
        }
    }

    async fn wait(&mut self) -> Woken {
        let due = self
            .core
            .poll_timeout()
            .into_iter()
            .chain(self.ending)
            .chain([self.report_at])
            .min();
        let due = tokio::time::Instant::from_std(due.unwrap_or(self.report_at));
        // What peers say waits in the sockets while too much is to be done.
        let ready = self.gathered.len() < GATHERED;
        tokio::select! {
            written = self.store.written(), if self.storing.is_some() => Woken::Stored(written),
            () = self.transport.recv_many(&mut self.packets, ROUND), if ready => Woken::Packets,
            () = self.bus.recv(&mut self.envelopes, ROUND), if ready && self.ending.is_none() => Woken::Envelopes,
            Some(event) = self.heard.recv() => Woken::Media(event),
            Some((query, answer)) = self.answers.recv() => Woken::Resolved(query, answer),
            Some(question) = self.questions.recv() => Woken::Question(question),
            () = tokio::time::sleep_until(due) => Woken::Time,
            _ = self.signals.terminate.recv() => Woken::Signal,
            _ = self.signals.interrupt.recv() => Woken::Signal,
        }
    }

    fn take_packets(&mut self) {
        let now = now();
        for event in self.packets.drain(..) {
            match event {
                TransportEvent::Packet { flow, bytes } => {
                    self.core.handle_sip_packet(flow, &bytes, now)
                }
                TransportEvent::Certified {
                    connection,
                    domains,
                } => self.core.handle_sip_certified(connection, &domains),
                TransportEvent::Pong { flow } => self.core.handle_sip_pong(flow, now),
                TransportEvent::SendFailed { id, reason } => {
                    self.core.handle_sip_send_failed(id, reason, now);
                }
                TransportEvent::Closed {
                    connection,
                    reason,
                    unsent,
                } => {
                    self.core
                        .handle_sip_closed(connection, reason, &unsent, now);
                }
            }
        }
    }

    fn take_envelopes(&mut self) {
        let now = now();
        for incoming in self.envelopes.drain(..) {
            self.core.handle_bus(incoming, now);
        }
    }

    /// Carries out a round whose rows are stored: the bus first, so that an outcome has left the
    /// process before the request that follows it.
    async fn perform(&mut self, actions: Vec<Action>) {
        let mut transmits = Vec::with_capacity(actions.len());
        let mut said = false;
        let mut close = false;
        for action in actions {
            match action {
                Action::Publish(envelope) => {
                    said = true;
                    self.publish(&envelope).await;
                }
                Action::Transmit(transmit) => transmits.push(transmit),
                Action::Close(connection) => self.transport.close(connection),
                Action::Media(command) => self.media.perform(*command),
                Action::Resolve(query) => self.resolver.ask(query),
                Action::CloseBus => close = true,
                Action::Store(_) | Action::Forget(_) => {}
            }
        }
        if said {
            self.flush_bus().await;
        }
        if close {
            self.bus.close();
        }
        for transmit in transmits {
            let id = transmit.id;
            if let (Some(connection), Some(id)) = (self.transport.send(transmit), id) {
                self.core.handle_sip_bound(id, connection);
            }
        }
        self.transport.flush();
    }

    async fn publish(&mut self, envelope: &Envelope) {
        let mut sent = self.bus.send(envelope);
        if sent == Err(SendError::Full) {
            self.flush_bus().await;
            sent = self.bus.send(envelope);
        }
        if let Err(error) = sent {
            tracing::debug!(%error, "an event was not put on the bus");
            self.core.handle_bus_refused(&envelope.event, now());
        }
    }

    /// Waits until the bus has taken everything. A peer that does not read is cut off, since it
    /// would hold up everybody else; it hears what it missed when it is back.
    async fn flush_bus(&mut self) {
        if timeout(PATIENCE, self.bus.flush()).await.is_err() {
            tracing::warn!("the XMPP side does not read; its link is closed");
            self.bus.close();
        }
    }

    fn collect(&mut self) {
        while let Some(action) = self.core.poll_action() {
            self.gathered.push(action);
        }
    }

    /// Whether the end has come and nothing open is worth waiting for.
    fn has_ended(&self) -> bool {
        let idle = self.core.in_flight() == 0 && self.storing.is_none();
        self.ending
            .is_some_and(|deadline| idle || now().instant >= deadline)
    }

    /// Answers who waits, says goodbye, and lets it all leave.
    async fn end(&mut self) {
        self.core.end(now());
        self.finish_round().await;
        self.collect();
        self.perform_gathered().await;
        self.finish_round().await;
        // Streams are written by tasks of their own.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.report();
        tracing::info!("tandem-b2bua ends");
    }

    /// Waits for the rows that are being stored, and carries out what waits for them.
    async fn finish_round(&mut self) {
        if let Some(actions) = self.storing.take() {
            let written = self.store.written().await;
            self.held_answers.stored(written);
            self.perform(actions).await;
        }
    }

    fn report(&self) {
        let (counters, sip) = self.core.counters();
        let (calls, sessions) = self.core.calls();
        tracing::info!(
            waiting = self.core.waiting(),
            calls,
            sessions,
            messages = tally(&counters.named()),
            sip = tally(&sip.named()),
            dropped = tally(&self.transport.drops().named()),
            media = tally(&self.media.counters().named()),
            "counts since the start"
        );
    }
}

/// Whether it is for the store.
fn is_row(action: &Action) -> bool {
    matches!(action, Action::Store(_) | Action::Forget(_))
}

/// A start that fails for want of a directory or a permission fails every time: that is the
/// configuration's fault. An address that is taken or not there yet may be free the next time.
fn blame(error: anyhow::Error) -> anyhow::Error {
    use std::io::ErrorKind;
    let mut causes = error.chain();
    let kind = causes.find_map(|cause| Some(cause.downcast_ref::<std::io::Error>()?.kind()));
    let lasting = [
        ErrorKind::NotFound,
        ErrorKind::PermissionDenied,
        ErrorKind::NotADirectory,
        ErrorKind::IsADirectory,
        ErrorKind::ReadOnlyFilesystem,
    ];
    match kind.is_some_and(|kind| lasting.contains(&kind)) {
        true => ConfigError(format!("{error:#}")).into(),
        false => error,
    }
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: SystemTime::now(),
    }
}

/// How often counts are logged.
const REPORT: Duration = Duration::from_secs(600);
/// How long open requests are waited for at the end.
const DRAIN: Duration = Duration::from_secs(1);
/// How long the bus may take to take what it is given.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most packets or envelopes taken at once.
const ROUND: usize = 256;
/// Most actions that may wait for their round.
const GATHERED: usize = 4096;
