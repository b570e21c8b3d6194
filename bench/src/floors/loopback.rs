//! The floor of all that goes through a socket: plain bytes over TCP on the loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::client::Failure;
use crate::outcome::Outcome;

/// Bytes written or read at once.
const PIECE_BYTES: usize = 1 << 20;

/// One thread sends as fast as another one takes.
pub(crate) fn run(seconds: f64) -> Result<Outcome, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sender = std::thread::spawn(move || send(address, seconds));
    let (mut stream, _) = listener.accept()?;
    let mut piece = vec![0; PIECE_BYTES];
    let (started, mut bytes) = (Instant::now(), 0);
    loop {
        match stream.read(&mut piece)? {
            0 => break,
            read => bytes += read as u64,
        }
    }
    let mut outcome = Outcome::new();
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.all_seconds = outcome.seconds;
    outcome.tally.bytes = bytes;
    sender.join().map_err(|_| "the sender panicked")??;
    Ok(outcome)
}

fn send(address: std::net::SocketAddr, seconds: f64) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let (piece, started) = (vec![0x5a; PIECE_BYTES], Instant::now());
    while started.elapsed() < Duration::from_secs_f64(seconds) {
        stream.write_all(&piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_sent_is_counted() {
        let outcome = run(0.01).unwrap();
        assert!(outcome.tally.bytes >= PIECE_BYTES as u64);
        assert_eq!(outcome.tally.bytes % PIECE_BYTES as u64, 0);
    }
}
