//! Calls.

pub mod negotiate;
