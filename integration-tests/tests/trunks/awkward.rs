//! Providers as they are: what is odd, wrong or hostile in their answers, and what becomes of it (N01, N09, M08).
//!
//! Whatever a provider does, nothing hangs, no call and no port is left, and who called or wrote is told in words.

mod answers;
mod dialogs;
mod integrity;
mod messages;
mod registrars;
mod sipp;
mod streams;

use integration_tests::tandem::Trunk;

use crate::scene::provider;

/// The scripted network itself as provider, with an account it may ask for.
fn trunk() -> Trunk<'static> {
    Trunk {
        next_hop: "127.0.0.1:5090",
        inbound: vec!["127.0.0.1"],
        from: "number",
        credentials: Some(("tandem", "pw-tandem")),
        extra: "domain = \"provider.test\"",
        ..provider()
    }
}

/// A challenge for the account.
fn challenge(nonce: &str, more: &str) -> String {
    format!("Digest realm=\"provider.test\", nonce=\"{nonce}\", qop=\"auth\", algorithm=MD5{more}")
}
