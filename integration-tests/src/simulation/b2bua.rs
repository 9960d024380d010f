//! The b2bua's process: its core, its rows and its rounds.

use std::sync::Arc;

use tandem_b2bua::account::AccountSettings;
use tandem_b2bua::action::{Action, Key, Record};
use tandem_b2bua::call::CallSettings;
use tandem_b2bua::clock::Now;
use tandem_b2bua::core::Core;
use tandem_b2bua::emergency::Emergency;
use tandem_b2bua::number::{Numbering, Numbers};
use tandem_b2bua::policy::{Allowance, Policy};
use tandem_b2bua::settings::{MessageSettings, Settings};
use tandem_b2bua::sip::digest::Credential;
use tandem_b2bua::sip::endpoint::{Admission, EndpointConfig, SentBy};
use tandem_b2bua::sip::uri::HostPort;
use tandem_b2bua::sip::{Flow, Transport};
use tandem_b2bua::trunk::{NextHop, Trunk, Trunks};
use tandem_shared::address::Mapping;
use tandem_shared::mint::Mint;

use super::component::RETRY_FOR;
use super::rounds::Rounds;
use super::stage::Stage;

/// The process; what it stored outlives its core.
pub(super) struct B2bua {
    pub(super) core: Option<Core>,
    /// Which run of the process this is.
    pub(super) run: u64,
    pub(super) rounds: Rounds<Action>,
    /// Whether it dies right after its next commit.
    pub(super) doomed: bool,
    rows: Vec<Record>,
}

impl B2bua {
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
        let seed = u128::from(stage.plan.seed) << 64 | 1 << 63 | u128::from(self.run);
        let mint = Mint::new(seed.to_le_bytes());
        let mut core = Core::new(settings(), mint, [7; 16], self.run);
        core.restore(self.rows.clone(), now(stage));
        self.core = Some(core);
    }

    /// Ends the process; what it had not committed is gone.
    pub(super) fn die(&mut self) {
        self.core = None;
        self.rounds = Rounds::new();
    }

    /// Lets the core do `work`, and gathers what it asks for.
    pub(super) fn with(&mut self, work: impl FnOnce(&mut Core)) {
        let Some(core) = &mut self.core else {
            return;
        };
        work(core);
        while let Some(action) = core.poll_action() {
            self.rounds.gather(action);
        }
    }

    /// Whether an action belongs into the store.
    pub(super) fn is_row(action: &Action) -> bool {
        matches!(action, Action::Store(_) | Action::Forget(_))
    }

    /// Puts the rows of the round being stored on disk.
    pub(super) fn commit(&mut self) {
        for action in self.rounds.take_rows() {
            match action {
                Action::Store(record) => self.rows.push(record),
                Action::Forget(Key::AnsweredBefore(time)) => {
                    self.rows
                        .retain(|row| !matches!(row, Record::Answered { at, .. } if *at < time));
                }
                Action::Forget(Key::Spelling(key)) => {
                    self.rows.retain(
                        |row| !matches!(row, Record::Spelling { folded, .. } if *folded == key),
                    );
                }
                Action::Forget(Key::Account(of, address)) => {
                    self.rows.retain(|row| {
                        !matches!(row, Record::Account { user, account }
                            if account.address == address && *user == of)
                    });
                }
                // What is kept here is never sealed, so all of it can be opened.
                Action::Forget(Key::LockedAccount(_)) => {}
                Action::Forget(Key::LastNumber(pair)) => {
                    self.rows.retain(
                        |row| !matches!(row, Record::LastNumber(last) if last.pair == pair),
                    );
                }
                Action::Forget(Key::Alias(pair)) => {
                    self.rows.retain(|row| *row != Record::Alias(pair));
                }
                Action::Forget(Key::Approval(id)) => self
                    .rows
                    .retain(|row| !matches!(row, Record::Approval(approval) if approval.id == id)),
                Action::Transmit(_)
                | Action::Publish(_)
                | Action::Media(_)
                | Action::Resolve(_)
                | Action::Close(_)
                | Action::CloseBus => {}
            }
        }
    }
}

/// The moment as the b2bua sees it.
pub(super) fn now(stage: &Stage) -> Now {
    Now {
        instant: stage.instant(),
        wall: stage.wall(),
    }
}

/// The way between the peer and us.
pub(super) fn flow() -> Flow {
    Flow::Udp {
        socket: 0,
        peer: ([192, 0, 2, 1], 5060).into(),
    }
}

fn settings() -> Settings {
    let own = HostPort::parse("192.0.2.9:5060").expect("a valid host");
    let sent_by = SentBy {
        udp: own.clone(),
        tcp: own.clone(),
        tls: own.clone(),
        ws: own.clone(),
        wss: own,
    };
    let mapping = Mapping {
        domain: "sip.example.com".to_owned(),
        user_domains: Vec::new(),
    };
    let hop = HostPort::parse("192.0.2.1").expect("a valid host");
    let trunk = Trunk {
        patterns: vec!["+*".parse().expect("a valid pattern")],
        next_hop: Some(NextHop {
            host: hop.host,
            port: None,
        }),
        transport: Some(Transport::Udp),
        credentials: Some(Credential {
            user: "tandem".into(),
            password: "secret".into(),
            realm: None,
        }),
        large: None,
        inbound: vec!["192.0.2.1".parse().expect("a valid network")],
        ..Trunk::new("trunk")
    };
    Settings {
        mapping: mapping.normalised().expect("the domain is valid"),
        trunks: Arc::new(Trunks::new(vec![trunk])),
        numbers: Numbers::default(),
        numbering: Numbering::default(),
        accounts: AccountSettings::default(),
        policy: Policy::new(None, &["+*".to_owned()], &[]).with_allowance(Allowance::unlimited()),
        emergency: Emergency::new([]),
        endpoint: EndpointConfig::new(sent_by, Admission::new(|_| true)),
        message: MessageSettings {
            retry_for: RETRY_FOR,
            ..MessageSettings::default()
        },
        call: CallSettings::default(),
        nat: Default::default(),
        global_failures: false,
    }
}
