//! The sound of calls between XMPP clients and phones: codecs, protection, keys, bad lines, relays.

mod codecs;
mod scene;
