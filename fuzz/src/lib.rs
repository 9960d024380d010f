//! What every fuzz target runs, as plain functions.
//!
//! `cargo fuzz` grows inputs for them on nightly; `integration-tests/tests/corpus.rs` includes this
//! file and replays the committed corpus through the same functions on stable. A target passes
//! when it returns; it panics when an invariant that its function names does not hold.

pub mod address;
pub mod b2bua;
pub mod bus;
pub mod calls;
pub mod component;
pub mod config;
pub mod jingle;
pub mod media;
pub mod script;
pub mod sdp;
pub mod sip;
pub mod trunk;
pub mod xmpp;

/// One target: the name of its corpus folder and what an input is run through.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, in the order they are replayed.
pub const TARGETS: &[Target] = &[
    ("stream", xmpp::stream),
    ("stanza", xmpp::stanza),
    ("component_core", component::core),
    ("sip_message", sip::message),
    ("sip_uri", sip::uri),
    ("sip_name_addr", sip::name_addr),
    ("sip_via", sip::via),
    ("sip_challenge", sip::challenge),
    ("sip_frame", sip::frame),
    ("sip_endpoint", sip::endpoint),
    ("sdp", sdp::description),
    ("from_sip", b2bua::from_sip),
    ("b2bua_core", b2bua::core),
    ("b2bua_calls", calls::script),
    ("media_call", media::call),
    ("jingle", jingle::element),
    ("bus_frame", bus::frame),
    ("localpart", address::localpart),
    ("user_part", address::user_part),
    ("mapping", address::mapping),
    ("config", config::text),
    ("drop_ins", config::drop_ins),
    ("registrar", trunk::registrar),
    ("dns", trunk::dns),
    ("stun", trunk::stun),
    ("number", trunk::number),
    ("party", trunk::party),
    ("admin", trunk::admin),
];
