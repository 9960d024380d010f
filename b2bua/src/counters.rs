//! What the core counts beside the endpoint's own counts.

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages from XMPP taken into a queue.
    pub taken: u64,
    /// Messages from XMPP that ended in a 2xx.
    pub delivered: u64,
    /// Messages from XMPP that were refused, by us or by the peer.
    pub refused: u64,
    /// Refused messages of which nobody knows whether they arrived.
    pub in_doubt: u64,
    /// Requests sent once more because they were surely not delivered.
    pub retried: u64,
    /// Challenges answered.
    pub challenged: u64,
    /// OPTIONS sent to see whether a destination is back.
    pub probes: u64,
    /// Messages from XMPP that came again.
    pub repeated: u64,
    /// Messages cut into parts.
    pub split: u64,
    /// Messages from SIP put on the bus.
    pub published: u64,
    /// Messages from SIP answered 2xx.
    pub accepted: u64,
    /// Messages from SIP answered otherwise.
    pub rejected: u64,
    /// Messages from SIP whose outcome did not come in time.
    pub unconfirmed: u64,
    /// Messages from SIP that came again and got their recorded answer.
    pub recorded: u64,
    /// Messages from SIP that had expired or were empty.
    pub ignored: u64,
    /// Requests turned away because somebody pretended to be one of our users.
    pub spoofed: u64,
}

impl Counters {
    /// All of them by name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 16] {
        let Self {
            taken,
            delivered,
            refused,
            in_doubt,
            retried,
            challenged,
            probes,
            repeated,
            split,
            published,
            accepted,
            rejected,
            unconfirmed,
            recorded,
            ignored,
            spoofed,
        } = self;
        [
            ("taken", *taken),
            ("delivered", *delivered),
            ("refused", *refused),
            ("in_doubt", *in_doubt),
            ("retried", *retried),
            ("challenged", *challenged),
            ("probes", *probes),
            ("repeated", *repeated),
            ("split", *split),
            ("published", *published),
            ("accepted", *accepted),
            ("rejected", *rejected),
            ("unconfirmed", *unconfirmed),
            ("recorded", *recorded),
            ("ignored", *ignored),
            ("spoofed", *spoofed),
        ]
    }
}
