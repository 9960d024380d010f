//! Both cores together on a virtual clock, between a model XMPP server and a model SIP peer.
//!
//! Everything that can be late is late: stanzas, envelopes, datagrams and commits take random
//! times, so that many things are in flight at once. Datagrams are lost and come twice, the bus
//! loses envelopes and breaks, the stream breaks, either process is killed and comes back with the
//! rows it had committed. [`model`](crate::model) says what must hold when all has come to rest.
//!
//! A run follows from its [`Plan`] alone; a plan follows from a seed.

#![expect(clippy::expect_used, reason = "what fails here is the harness itself")]

mod b2bua;
mod bus;
mod component;
mod peer;
pub mod plan;
pub mod random;
mod rounds;
mod server;
mod stage;
mod world;

pub use plan::{Plan, Sabotage};
pub use stage::Side;
pub use world::{Report, run};

/// The smallest plan found that still fails, starting from `plan`, and its report.
#[must_use]
pub fn shrink(plan: Plan) -> (Plan, Report) {
    let mut report = run(&plan);
    let mut smallest = plan;
    'again: loop {
        for smaller in smallest.smaller() {
            let tried = run(&smaller);
            if !tried.violations.is_empty() {
                (smallest, report) = (smaller, tried);
                continue 'again;
            }
        }
        return (smallest, report);
    }
}
