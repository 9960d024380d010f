//! Tandem against real peers: drivers for servers and phones, and the place they run in.
//!
//! Invariant: nothing a test starts outlives it or reaches beyond its own network namespace.
//! `README.md` beside this crate shows how a test is written.

pub mod aiortc;
pub mod audio;
pub mod baresip;
pub mod bench;
pub mod both_servers;
pub mod certificates;
pub mod chromium;
pub mod coturn;
mod dialogue;
pub mod edge;
pub mod filter;
pub mod jingle;
pub mod kamailio;
pub mod linphone;
pub mod load;
pub mod loss;
pub mod model;
pub mod names;
pub mod nat;
pub mod net;
pub mod process;
pub mod program;
pub mod promise;
pub mod provider;
pub mod relay;
pub mod rtp;
pub mod scene;
pub mod server;
pub mod simulation;
pub mod sip;
pub mod sip_trace;
pub mod sipp;
pub mod tandem;
pub mod template;
pub mod wait;
pub mod xmpp;

pub use bench::Bench;
pub use net::{isolated, isolated_within};
pub use scene::Scene;
pub use server::Server;
