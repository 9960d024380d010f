//! Pairs of ports for SIP legs: an even one for sound and the next for reports.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use tandem_shared::mint::Mint;

use super::settings::Interface;

/// Pairs that are free, by interface.
#[derive(Debug)]
pub(super) struct Ports {
    interfaces: Vec<(Interface, VecDeque<u16>)>,
}

impl Ports {
    /// All pairs of the range on each interface, in an order that nobody can guess.
    pub(super) fn new(
        interfaces: &[Interface],
        range: &RangeInclusive<u16>,
        mint: &mut Mint,
    ) -> Self {
        let pairs = range
            .clone()
            .filter(|port| port % 2 == 0 && *port < *range.end());
        let interfaces = interfaces.iter().map(|interface| {
            let mut shuffled: Vec<(u128, u16)> =
                pairs.clone().map(|port| (mint.number(), port)).collect();
            shuffled.sort_unstable();
            let pairs = shuffled.into_iter().map(|(_, port)| port).collect();
            (*interface, pairs)
        });
        Self {
            interfaces: interfaces.collect(),
        }
    }

    /// The interface for `address`: the one it names, the first of its family, or the first of all where
    /// the address is not known (a next hop by name).
    pub(super) fn interface(&self, address: IpAddr) -> Option<Interface> {
        let all = || self.interfaces.iter().map(|(interface, _)| *interface);
        let named = |it: &Interface| it.bind == address || it.public == address;
        all()
            .find(named)
            .or_else(|| all().find(|it| it.public.is_ipv4() == address.is_ipv4()))
            .or_else(|| all().next().filter(|_| address.is_unspecified()))
    }

    /// Takes the pair that has been free for longest.
    pub(super) fn take(&mut self, interface: Interface) -> Option<u16> {
        self.free(interface)?.pop_front()
    }

    /// Gives a pair back; late packets of its call have time to run dry before it comes up again.
    pub(super) fn give(&mut self, interface: Interface, port: u16) {
        if let Some(free) = self.free(interface) {
            free.push_back(port);
        }
    }

    fn free(&mut self, interface: Interface) -> Option<&mut VecDeque<u16>> {
        let mut all = self.interfaces.iter_mut();
        all.find(|(known, _)| *known == interface)
            .map(|(_, free)| free)
    }

    /// Pairs that are free.
    pub(super) fn len(&self) -> usize {
        self.interfaces.iter().map(|(_, free)| free.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(address: &str) -> Interface {
        Interface::plain(address.parse().unwrap())
    }

    #[test]
    fn pairs_are_even_unguessable_and_come_back_last() {
        let local = interface("127.0.0.1");
        let mut ports = Ports::new(&[local], &(30_001..=30_011), &mut Mint::new([1; 16]));
        let first: Vec<u16> = std::iter::from_fn(|| ports.take(local)).collect();
        assert!(first.iter().all(|port| port % 2 == 0));
        assert!(!first.is_sorted(), "in order: {first:?}");
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [30_002, 30_004, 30_006, 30_008, 30_010]);
        ports.give(local, 30_006);
        ports.give(local, 30_002);
        assert_eq!(ports.take(local), Some(30_006));
    }

    #[test]
    fn an_address_chooses_its_interface_or_one_of_its_family() {
        let mut hidden = interface("10.0.0.1");
        hidden.public = "203.0.113.1".parse().unwrap();
        let all = [interface("127.0.0.1"), hidden, interface("::1")];
        let ports = Ports::new(&all, &(2..=9), &mut Mint::new([1; 16]));
        let chosen = |text: &str| ports.interface(text.parse().unwrap());
        assert_eq!(chosen("10.0.0.1"), Some(hidden));
        assert_eq!(chosen("203.0.113.1"), Some(hidden));
        assert_eq!(chosen("192.0.2.1"), Some(all[0]));
        assert_eq!(chosen("2001:db8::1"), Some(all[2]));
        let only = Ports::new(&all[2..], &(2..=9), &mut Mint::new([1; 16]));
        assert_eq!(only.interface("192.0.2.1".parse().unwrap()), None);
        assert_eq!(only.interface("0.0.0.0".parse().unwrap()), Some(all[2]));
    }
}
