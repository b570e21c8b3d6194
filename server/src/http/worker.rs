//! Worker threads: each accepts, serves and finally drains its own connections.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

use super::api::Api;
use super::bounds::Bounds;
use super::connection::Protocols;
use super::crowd::Crowd;
use super::pipeline::{Front, Shared};
use super::request_body::Budget;
use super::{listener, opening};
use crate::limits;
use crate::metrics::Metrics;
use crate::tls::Tls;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses to listen on, at least one; port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    /// Worker threads; at least 1.
    pub threads: usize,
    /// How far the date of a request may be off, either way, in seconds.
    pub clock_skew_seconds: u64,
    /// Time requests in flight get to finish after `Running::stop`.
    pub stop_grace: Duration,
    /// Bounds against slow, large and many requests.
    pub bounds: Bounds,
    /// TLS, unless the port takes clear text only.
    pub tls: Option<Tls>,
}

/// A server that runs. Dropping it stops the server as `stop` does.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, lets requests in flight finish within their grace, and returns once all
    /// workers have ended. Blocks.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("an HTTP worker ended by a panic");
            }
        }
    }
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve on {address}: {reason}")]
pub struct NotServing {
    /// The address that cannot be bound; the first one when the system refuses a thread.
    pub address: SocketAddr,
    /// The system's answer.
    pub reason: io::Error,
}

/// Binds, starts the workers, and returns at once.
///
/// # Errors
///
/// An address cannot be bound, or the system refuses a thread.
pub fn start<A: Api>(
    settings: &Settings,
    api: &Arc<A>,
    metrics: &Arc<Metrics>,
) -> Result<Running, NotServing> {
    let sets = listener::bind_sets(&settings.listen, settings.threads.max(1))
        .map_err(|(address, reason)| NotServing { address, reason })?;
    let address = settings.listen.first().copied();
    let address = address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    start_workers(sets, settings, api, metrics).map_err(|reason| NotServing { address, reason })
}

fn start_workers<A: Api>(
    sets: Vec<Vec<std::net::TcpListener>>,
    settings: &Settings,
    api: &Arc<A>,
    metrics: &Arc<Metrics>,
) -> io::Result<Running> {
    let addresses =
        sets[0].iter().map(std::net::TcpListener::local_addr).collect::<Result<_, _>>()?;
    let (stop, stopped) = watch::channel(false);
    let shared = Shared {
        api: Arc::clone(api),
        metrics: Arc::clone(metrics),
        budget: Budget::new(settings.bounds.body_memory_bytes_max, &metrics.body_memory_bytes),
        crowd: Crowd::new(&settings.bounds, metrics),
    };
    let mut running = Running { addresses, stop, workers: Vec::with_capacity(sets.len()) };
    for (number, listeners) in sets.into_iter().enumerate() {
        let (settings, stop, shared) = (settings.clone(), stopped.clone(), shared.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker =
            std::thread::Builder::new().name(format!("http-{number}")).spawn(move || {
                let front = Rc::new(Front::new(shared, &settings, stop.clone()));
                LocalSet::new()
                    .block_on(&runtime, work(listeners, front, stop, settings.stop_grace));
            })?;
        running.workers.push(worker);
    }
    Ok(running)
}

async fn work<A: Api>(
    listeners: Vec<std::net::TcpListener>,
    front: Rc<Front<A>>,
    mut stop: watch::Receiver<bool>,
    grace: Duration,
) {
    let mut listeners: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            TcpListener::from_std(listener)
                .expect("the runtime of this thread has its I/O driver enabled")
        })
        .collect();
    let protocols = Rc::new(Protocols::new());
    let mut connections = JoinSet::new();
    let stopped = stop.clone();
    loop {
        tokio::select! {
            accepted = accept(&mut listeners) => match accepted {
                Ok((stream, peer)) => {
                    let Some(open) = front.crowd.enter(peer.ip()) else { continue };
                    let (front, protocols) = (Rc::clone(&front), Rc::clone(&protocols));
                    let stop = stopped.clone();
                    connections.spawn_local(async move {
                        prepare(&stream);
                        opening::serve(stream, front, &protocols, stop).await;
                        drop(open);
                    });
                }
                Err(error) => pause_after(&error).await,
            },
            Some(ended) = connections.join_next() => report(&ended),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    drop(listeners);
    drain(connections, grace).await;
}

/// The next connection of any listener; the one it came by is asked last the next time.
async fn accept(listeners: &mut [TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    let (place, accepted) = poll_fn(|context| {
        let mut polls = listeners.iter().map(|listener| listener.poll_accept(context)).enumerate();
        polls
            .find_map(|(place, poll)| match poll {
                Poll::Ready(accepted) => Some(Poll::Ready((place, accepted))),
                Poll::Pending => None,
            })
            .unwrap_or(Poll::Pending)
    })
    .await;
    listeners[place..].rotate_left(1);
    accepted
}

/// Lets connections end by themselves for as long as `grace`, then ends them.
async fn drain(mut connections: JoinSet<()>, grace: Duration) {
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, all).await.is_err() {
        tracing::warn!(left = connections.len(), "connections cut off at the end of the grace");
        connections.shutdown().await;
    }
}

fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set"); // The client is gone already.
    }
}

async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "connection not accepted");
    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
}

fn report(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended by a panic");
    }
}
