//! Who is connected: connections in all and of each address, over all workers, within their bounds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bounds::Bounds;
use crate::metrics::Metrics;

/// Bits of an IPv6 address that a client cannot choose: a network gives each of its members as many
/// addresses as it likes below them.
const NETWORK: u128 = u128::MAX << 64;

/// All open connections.
#[derive(Debug)]
pub(super) struct Crowd {
    metrics: Arc<Metrics>,
    all_max: usize,
    of_address_max: usize,
    of_address: Mutex<HashMap<IpAddr, usize>>,
}

impl Crowd {
    /// Nobody yet.
    pub(super) fn new(bounds: &Bounds, metrics: &Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            metrics: Arc::clone(metrics),
            all_max: bounds.connections_max,
            of_address_max: bounds.connections_per_address_max,
            of_address: Mutex::default(),
        })
    }

    /// Counts a connection of `address` in, unless there are too many.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Open> {
        let open = Open { crowd: Arc::clone(self), address: network(address) };
        self.metrics.connections.inc();
        let of_address = {
            let mut counts = self.lock();
            let count = counts.entry(open.address).or_default();
            *count += 1;
            *count
        };
        let all = usize::try_from(self.metrics.connections.get()).unwrap_or(0);
        if all > self.all_max || of_address > self.of_address_max {
            self.metrics.refused_connections.inc();
            return None;
        }
        Some(open)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.of_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is counted as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// One open connection in the counts.
#[derive(Debug)]
pub(super) struct Open {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.crowd.metrics.connections.dec();
        let mut counts = self.crowd.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(all: usize, of_address: usize) -> Arc<Crowd> {
        let bounds = Bounds {
            connections_max: all,
            connections_per_address_max: of_address,
            ..Bounds::default()
        };
        Crowd::new(&bounds, &Arc::new(Metrics::new()))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_bound_and_all_have_one() {
        let crowd = crowd(4, 2);
        let enter = |text| crowd.enter(address(text));
        let (one, two) = (enter("10.0.0.1").unwrap(), enter("10.0.0.1").unwrap());
        assert!(enter("10.0.0.1").is_none());
        let (three, four) = (enter("10.0.0.2").unwrap(), enter("10.0.0.3").unwrap());
        assert!(enter("10.0.0.4").is_none());
        assert_eq!(crowd.metrics.refused_connections.get(), 2);
        drop(one);
        let five = enter("10.0.0.1").unwrap();
        drop((two, three, four, five));
        assert_eq!((crowd.metrics.connections.get(), crowd.lock().len()), (0, 0));
    }

    #[test]
    fn addresses_of_one_network_and_forms_of_one_address_count_as_one() {
        let crowd = crowd(100, 1);
        let _one = crowd.enter(address("2001:db8::1")).unwrap();
        assert!(crowd.enter(address("2001:db8::ffff:2")).is_none());
        let _two = crowd.enter(address("2001:db8:0:1::1")).unwrap();
        let _three = crowd.enter(address("10.0.0.1")).unwrap();
        assert!(crowd.enter(address("::ffff:10.0.0.1")).is_none());
    }
}
