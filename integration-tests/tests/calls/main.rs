//! Calls between XMPP clients and SIP, with what each hears.

mod basics;
mod browser;
mod changes;
mod crossing;
mod early;
mod from_sip;
mod giving_up;
mod jingle;
mod lost;
mod odd;
mod scene;
mod soak;
mod strangers;
mod to_sip;
