//! Calls between XMPP clients and SIP, with what each hears.

mod basics;
mod browser;
mod changes;
mod early;
mod from_sip;
mod jingle;
mod lost;
mod scene;
mod to_sip;
