//! How many requests of each source are open. A source is given one more only while fewer are its own than places are
//! free: however many it sends, and whoever sends in its name, it leaves as many as it takes (specs T14).

use std::net::IpAddr;

use crate::counts::Counts;
use crate::sip::hop::Target;

/// The count of each source, by where its answers go.
#[derive(Debug, Default)]
pub(super) struct Load {
    sources: Counts<IpAddr>,
}

impl Load {
    pub(super) fn of(&self, source: IpAddr) -> usize {
        self.sources.of(&source)
    }

    pub(super) fn add(&mut self, target: &Target) {
        if let Some(source) = source(target) {
            self.sources.add(source);
        }
    }

    pub(super) fn remove(&mut self, target: &Target) {
        if let Some(source) = source(target) {
            self.sources.remove(&source);
        }
    }

    /// How many sources have any.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sources.kinds()
    }
}

fn source(target: &Target) -> Option<IpAddr> {
    match target {
        Target::Flow { flow, .. } => Some(flow.source()),
        Target::Hop(_) => None,
    }
}
