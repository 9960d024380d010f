//! Tandem's SIP side: a pure core and, with the feature `shell`, the sockets around it.

pub mod account;
pub mod action;
pub mod admin;
pub mod alias;
pub mod body;
pub mod call;
pub mod caller_name;
pub mod clock;
pub mod contact;
pub mod core;
pub mod counters;
pub mod discovery;
pub mod dns;
pub mod emergency;
pub mod fingerprint;
pub mod health;
pub mod identity;
pub mod keepalive;
pub mod media;
pub mod message;
pub mod notice;
pub mod number;
pub mod party;
pub mod policy;
pub mod refusal;
pub mod registration;
pub mod settings;
pub mod sip;
pub mod spelling;
pub mod target;
pub mod trunk;

#[cfg(feature = "shell")]
pub mod config;
#[cfg(feature = "shell")]
pub mod shell;
