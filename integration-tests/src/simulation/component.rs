//! The component's process: its core, its rows and its rounds.

use std::time::Duration;

use tandem_component::action::{Action, Key, Record};
use tandem_component::call::closing::OpenKey;
use tandem_component::clock::Now;
use tandem_component::config::Config;
use tandem_component::core::Core;
use tandem_shared::event::Event;
use tandem_shared::message::MessageId;
use tandem_shared::mint::Mint;

use super::plan::Sabotage;
use super::rounds::Rounds;
use super::stage::Stage;
use crate::model;

/// The process; what it stored outlives its core.
pub(super) struct Component {
    pub(super) core: Option<Core>,
    /// Which run of the process this is.
    pub(super) run: u64,
    pub(super) rounds: Rounds<Action>,
    /// Whether it dies right after its next commit.
    pub(super) doomed: bool,
    rows: Vec<Record>,
}

impl Component {
    pub(super) fn new() -> Self {
        Self {
            core: None,
            run: 0,
            rounds: Rounds::new(),
            doomed: false,
            rows: Vec::new(),
        }
    }

    /// Starts the process with the rows it had committed.
    pub(super) fn start(&mut self, stage: &Stage) {
        self.run += 1;
        self.rounds = Rounds::new();
        self.doomed = false;
        let same = stage.plan.sabotage == Some(Sabotage::SameIds);
        let run = if same { 1 } else { self.run };
        let seed = u128::from(stage.plan.seed) << 64 | u128::from(run);
        let mut core = Core::new(
            config(),
            Mint::new(seed.to_le_bytes()),
            self.run,
            now(stage),
        )
        .expect("the domains are JIDs");
        core.restore(self.rows.clone(), now(stage));
        self.core = Some(core);
    }

    /// Ends the process; what it had not committed is gone.
    pub(super) fn die(&mut self) {
        self.core = None;
        self.rounds = Rounds::new();
    }

    /// Lets the core do `work`, and gathers what it asks for. `room` is what the bus takes.
    pub(super) fn with(&mut self, room: usize, work: impl FnOnce(&mut Core)) {
        let Some(core) = &mut self.core else {
            return;
        };
        work(core);
        core.handle_bus_room(room);
        while let Some(action) = core.poll_action() {
            self.rounds.gather(action);
        }
    }

    /// Whether an action belongs into the store.
    pub(super) fn is_row(action: &Action) -> bool {
        matches!(action, Action::Store(_) | Action::Forget(_))
    }

    /// Puts the rows of the round being stored on disk.
    pub(super) fn commit(&mut self, stage: &mut Stage) {
        for action in self.rounds.take_rows() {
            match action {
                Action::Store(record) => {
                    if let Record::Message(row) = &record {
                        stage.ledger.commit(model::number(&row.message.body));
                    }
                    if let Record::Call(open) = &record {
                        self.forget_call(&open.key());
                    }
                    self.rows.push(record);
                }
                Action::Forget(Key::Message(id)) => self.forget(&id),
                Action::Forget(Key::Pair(pair)) => {
                    self.rows.retain(|row| *row != Record::Pair(pair.clone()))
                }
                Action::Forget(Key::Call(key)) => self.forget_call(&key),
                Action::Send(_) | Action::Publish(_) | Action::CloseStream | Action::CloseBus => {}
            }
        }
    }

    /// The planted bug [`Sabotage::ForgetEarly`].
    pub(super) fn forget_early(&mut self, event: &Event, stage: &Stage) {
        if let Event::Message(message) = event
            && stage.plan.sabotage == Some(Sabotage::ForgetEarly)
        {
            self.forget(&message.id);
        }
    }

    /// Messages whose rows are on disk.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    fn forget_call(&mut self, key: &OpenKey) {
        self.rows
            .retain(|row| !matches!(row, Record::Call(open) if open.key() == *key));
    }

    fn forget(&mut self, id: &MessageId) {
        self.rows
            .retain(|row| !matches!(row, Record::Message(row) if row.message.id == *id));
    }
}

/// The moment as the component sees it.
pub(super) fn now(stage: &Stage) -> Now {
    Now {
        instant: stage.instant(),
        wall: stage.wall(),
    }
}

fn config() -> Config {
    let text = format!(
        r#"{{"mapping":{{"domain":"sip.example.com"}},"xmpp":{{}},"message":{{"retry_for":{}}}}}"#,
        RETRY_FOR.as_secs()
    );
    let config: Config = serde_json::from_str(&text).expect("the configuration is valid");
    config.normalised().expect("the configuration is valid")
}

/// How long both processes try.
pub(super) const RETRY_FOR: Duration = Duration::from_secs(60);
