//! Worker threads: each accepts, serves and finally drains its own connections.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

use super::api::Api;
use super::bounds::Bounds;
use super::pipeline::Front;
use super::request_body::Budget;
use super::{connection, listener, opening};
use crate::limits;
use crate::metrics::Metrics;
use crate::tls::Tls;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
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
    address: SocketAddr,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
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

/// Binds, starts the workers, and returns at once.
///
/// # Errors
///
/// The address cannot be bound, or the system refuses a thread.
pub fn start<A: Api>(
    settings: &Settings,
    api: &Arc<A>,
    metrics: &Arc<Metrics>,
) -> io::Result<Running> {
    let listeners = listener::bind(settings.listen, settings.threads.max(1))?;
    let address = listeners[0].local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let budget = Budget::new(settings.bounds.body_memory_bytes_max, &metrics.body_memory_bytes);
    let mut running = Running { address, stop, workers: Vec::with_capacity(listeners.len()) };
    for (number, listener) in listeners.into_iter().enumerate() {
        let (settings, stop) = (settings.clone(), stopped.clone());
        let (api, metrics, budget) = (Arc::clone(api), Arc::clone(metrics), Arc::clone(&budget));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker =
            std::thread::Builder::new().name(format!("http-{number}")).spawn(move || {
                let front = Rc::new(Front::new(api, metrics, budget, &settings, stop.clone()));
                LocalSet::new()
                    .block_on(&runtime, work(listener, front, stop, settings.stop_grace));
            })?;
        running.workers.push(worker);
    }
    Ok(running)
}

async fn work<A: Api>(
    listener: std::net::TcpListener,
    front: Rc<Front<A>>,
    mut stop: watch::Receiver<bool>,
    grace: Duration,
) {
    let listener = TcpListener::from_std(listener)
        .expect("the runtime of this thread has its I/O driver enabled");
    let builder = Rc::new(connection::builder());
    let mut connections = JoinSet::new();
    let stopped = stop.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let Some(open) = Open::count(&front) else { continue };
                    let (front, builder) = (Rc::clone(&front), Rc::clone(&builder));
                    let stop = stopped.clone();
                    connections.spawn_local(async move {
                        prepare(&stream);
                        opening::serve(stream, front, &builder, stop).await;
                        drop(open);
                    });
                }
                Err(error) => pause_after(&error).await,
            },
            Some(ended) = connections.join_next() => report(&ended),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    drop(listener);
    drain(connections, grace).await;
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

/// One open connection in the count of all.
struct Open(Arc<Metrics>);

impl Open {
    /// Counts a connection in, unless there are too many.
    fn count<A: Api>(front: &Front<A>) -> Option<Self> {
        let metrics = &front.metrics;
        let open = Self(Arc::clone(metrics));
        metrics.connections.inc();
        let max = i64::try_from(front.bounds.connections_max).unwrap_or(i64::MAX);
        if metrics.connections.get() > max {
            metrics.refused_connections.inc();
            return None;
        }
        Some(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}
