//! The component stream (XEP-0114) without its socket.

pub mod handshake;
pub mod reader;
mod scope;

pub use reader::{Defect, Input, Reader};
