//! Media: carries out what [`crate::media`] asks for.

#[cfg(test)]
mod tone;

mod anchor;
mod codec;
mod dtls;
mod dtmf;
mod ice;
mod latch;
mod packet;
mod reorder;
mod rtcp;
mod sequence;
mod settings;
mod shard;
mod sip;
mod srtp;
mod stream;
mod transcode;
mod way;
mod xmpp;

pub use packet::{Kind, classify};
pub use settings::{Interface, Settings, Timing};
