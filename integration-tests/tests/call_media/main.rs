//! The sound of calls between XMPP clients and phones: codecs, protection, keys, bad lines, relays.

mod addresses;
mod changes;
mod codecs;
mod desk;
mod families;
mod forks;
mod ice;
mod keys;
mod lines;
mod peers;
mod protection;
mod scene;
