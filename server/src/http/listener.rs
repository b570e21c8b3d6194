//! Listening sockets: of each address one a worker.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits;

/// Binds `count` sets of listeners, each with one for every address.
///
/// # Errors
///
/// As `bind`, with the address.
pub(super) fn bind_sets(
    addresses: &[SocketAddr],
    count: usize,
) -> Result<Vec<Vec<std::net::TcpListener>>, (SocketAddr, io::Error)> {
    let mut sets: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for &address in addresses {
        let listeners = bind(address, count).map_err(|reason| (address, reason))?;
        sets.iter_mut().zip(listeners).for_each(|(set, listener)| set.push(listener));
    }
    Ok(sets)
}

/// Binds `count` listeners to `address`. Port 0 picks one free port for all.
///
/// # Errors
///
/// What the system says, `AddrInUse` also when the port is shared out to listeners of others.
pub(super) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    refuse_used_port(address)?;
    let first = listen(address)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    while listeners.len() < count {
        listeners.push(listen(address)?);
    }
    Ok(listeners)
}

/// `SO_REUSEPORT` would let two servers of one user share a port, and requests fall to either.
fn refuse_used_port(address: SocketAddr) -> io::Result<()> {
    let socket = socket(address)?;
    socket.bind(&address.into())
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::LISTEN_BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?; // Else a restart waits for old connections to time out.
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_listeners_share_the_port_and_nobody_else_does() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = bind(any, 3).unwrap();
        let address = listeners[0].local_addr().unwrap();
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == address));
        assert_eq!(bind(address, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listeners);
        bind(address, 1).unwrap();
    }
}
