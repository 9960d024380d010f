//! What an endpoint counts: everything it drops or decides by itself, since nobody else sees it.

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests handed to the core.
    pub requests: u64,
    /// Final and provisional responses handed to the core.
    pub responses: u64,
    /// Retransmitted requests, absorbed or answered again.
    pub request_copies: u64,
    /// Retransmitted responses, absorbed.
    pub response_copies: u64,
    /// Requests sent again by Timer E.
    pub retransmissions: u64,
    /// Requests refused here: 4xx and 5xx the core never saw.
    pub refused: u64,
    /// Dropped: from a source no trunk names.
    pub unknown_source: u64,
    /// Of these, from sources that knock too often.
    pub banned: u64,
    /// Strangers asked for credentials.
    pub challenged: u64,
    /// Requests with wrong credentials.
    pub wrong_credentials: u64,
    /// Dropped: neither readable nor answerable.
    pub unreadable: u64,
    /// Dropped: ACK that belongs to nothing.
    pub stray_ack: u64,
    /// Dropped: responses that belong to nothing.
    pub stray_response: u64,
    /// Dropped: datagrams while too many requests wait for the core.
    pub full: u64,
    /// Answered requests forgotten before their time.
    pub forgotten: u64,
    /// Requests the core never answered.
    pub unanswered: u64,
}

impl Counters {
    /// All of them by name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 16] {
        let Self {
            requests,
            responses,
            request_copies,
            response_copies,
            retransmissions,
            refused,
            unknown_source,
            banned,
            challenged,
            wrong_credentials,
            unreadable,
            stray_ack,
            stray_response,
            full,
            forgotten,
            unanswered,
        } = self;
        [
            ("requests", *requests),
            ("responses", *responses),
            ("request_copies", *request_copies),
            ("response_copies", *response_copies),
            ("retransmissions", *retransmissions),
            ("refused", *refused),
            ("unknown_source", *unknown_source),
            ("banned", *banned),
            ("challenged", *challenged),
            ("wrong_credentials", *wrong_credentials),
            ("unreadable", *unreadable),
            ("stray_ack", *stray_ack),
            ("stray_response", *stray_response),
            ("full", *full),
            ("forgotten", *forgotten),
            ("unanswered", *unanswered),
        ]
    }
}
