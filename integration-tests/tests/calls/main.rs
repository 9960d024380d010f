//! Calls between XMPP clients and SIP, with what each hears.

mod browser;
mod early;
mod from_sip;
mod scene;
mod to_sip;
