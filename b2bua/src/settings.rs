//! What the core needs to know, checked and ready to use; the shell reads it from the configuration.

use std::sync::Arc;
use std::time::Duration;

use tandem_shared::address::Mapping;

use crate::account::AccountSettings;
use crate::call::CallSettings;
use crate::emergency::Emergency;
use crate::number::{Numbering, Numbers};
use crate::policy::Policy;
use crate::sip::endpoint::EndpointConfig;
use crate::trunk::{NextHop, Trunks};

/// Everything a [`Core`](crate::core::Core) is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which JIDs stand for whom, normalised.
    pub mapping: Mapping,
    /// The ways out.
    pub trunks: Arc<Trunks>,
    /// The users' telephone numbers.
    pub numbers: Numbers,
    /// How users dial.
    pub numbering: Numbering,
    /// What accounts of their own they may have.
    pub accounts: AccountSettings,
    /// Which numbers they may reach.
    pub policy: Policy,
    /// The numbers never carried.
    pub emergency: Emergency,
    /// What the SIP endpoint is told.
    pub endpoint: EndpointConfig,
    /// How messages are treated.
    pub message: MessageSettings,
    /// How calls are treated.
    pub call: CallSettings,
    /// What is known of our addresses, and how more is found out.
    pub nat: NatSettings,
    /// Whether an account's refusal becomes a 6xx, which ends forking everywhere.
    pub global_failures: bool,
}

/// How we find out where peers reach us over UDP.
#[derive(Debug, Clone, Default)]
pub struct NatSettings {
    /// Whether a registrar is believed that sees us elsewhere; not where the address is configured.
    pub learns: bool,
    /// The STUN server that is asked.
    pub stun: Option<NextHop>,
}

/// How messages are treated.
#[derive(Debug, Clone)]
pub struct MessageSettings {
    /// How long a message that was surely not delivered is tried again.
    pub retry_for: Duration,
    /// How long the XMPP side may take to confirm a message from SIP. Below the sender's Timer F.
    pub confirm_for: Duration,
    /// Most messages waiting for one destination.
    pub queue_per_destination: usize,
    /// Most messages waiting in all.
    pub queue_total: usize,
    /// Most messages from SIP waiting for their outcome.
    pub pending: usize,
    /// Most parts a message is cut into.
    pub parts: usize,
}

impl Default for MessageSettings {
    fn default() -> Self {
        Self {
            retry_for: Duration::from_secs(600),
            confirm_for: Duration::from_secs(20),
            queue_per_destination: 100,
            queue_total: 20_000,
            pending: 4096,
            parts: 10,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sip::endpoint::{Admission, SentBy};
    use crate::sip::uri::HostPort;
    use crate::trunk::{Identity, tests::trunk};
    use tandem_shared::address::Address;

    /// A gateway at `sip.example.com` with trunks for numbers, `pbx.example.net` and `sms.example.net`.
    pub(crate) fn settings() -> Settings {
        let at = HostPort::parse("198.51.100.1:5060").unwrap();
        let sent_by = SentBy {
            udp: at.clone(),
            tcp: at.clone(),
            tls: at.clone(),
            ws: at.clone(),
            wss: at,
        };
        let mut numbers = trunk("numbers", &["+*", "*"], Some("192.0.2.1"));
        numbers.identity = Identity::Number;
        let mut sms = trunk("sms", &["*@sms.example.net"], Some("192.0.2.3"));
        sms.split = true;
        sms.large = None;
        let pbx = trunk("pbx", &["*@pbx.example.net"], Some("192.0.2.2:5070"));
        let trunks = Arc::new(Trunks::new(vec![numbers, pbx, sms]));
        let gate = trunks.gate();
        let admission = Admission::new(move |source| gate.admits(source));
        let juliet = Address::new("juliet", "example.com").unwrap();
        Settings {
            mapping: Mapping {
                domain: "sip.example.com".into(),
                user_domains: vec!["example.com".into()],
            },
            trunks,
            numbers: Numbers::new([("+15550001".to_owned(), juliet)]),
            numbering: Numbering::default(),
            accounts: AccountSettings::default(),
            policy: Policy::new(None, &["+*".to_owned()], &[])
                .with_allowance(crate::policy::Allowance::unlimited()),
            emergency: Emergency::default(),
            endpoint: EndpointConfig::new(sent_by, admission),
            message: MessageSettings::default(),
            call: CallSettings::default(),
            nat: NatSettings {
                learns: true,
                stun: None,
            },
            global_failures: false,
        }
    }
    /// The same, in which 192.0.2.2 is the peer of `pbx` alone, and not of whichever trunk comes first.
    pub(crate) fn settings_of_two_peers() -> Settings {
        let mut settings = settings();
        let trunks = settings.trunks.iter().map(|(_, trunk)| {
            let mut trunk = trunk.clone();
            if trunk.name == "pbx" {
                trunk.inbound = vec!["192.0.2.2".parse().unwrap()];
            }
            trunk
        });
        settings.trunks = Arc::new(Trunks::new(trunks.collect()));
        settings
    }
}
