//! Calls as XMPP sees them: the leg toward the user.

pub mod translate;
