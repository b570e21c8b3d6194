//! Assembly: one call starts the service on an open store. The binary and in-process tests use it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::config::Durability;
use tokio::task::JoinSet;

use crate::aws::Encoding;
use crate::aws::exception::Exception;
use crate::aws::input::Body;
use crate::aws::output::Output;
use crate::aws::shape::Structure;
use crate::aws::sigv4::Principal;
use crate::faults::{Faults, RuleSet};
use crate::http::{self, Admin, Api, Health, NotServing, Running, Status};
use crate::kinesis::context::{self, Context};
use crate::kinesis::{self, Operation, Scaler};
use crate::metrics::{Metrics, Observed};
use crate::tls::Tls;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The front end.
    pub http: http::Settings,
    /// The service.
    pub kinesis: context::Settings,
    /// What an acknowledgement of `engine` means; only reported.
    pub durability: Durability,
    /// Streams to create before the first request is taken, unless they exist.
    pub streams: Vec<StreamToCreate>,
    /// Region of these streams.
    pub region: String,
    /// Faults to inject on purpose, from the start.
    pub faults: RuleSet,
    /// Address of health and metrics.
    pub admin: AdminListen,
}

/// Where health and metrics are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminListen {
    /// Nowhere.
    Off,
    /// Here; port 0 picks a free one.
    At(SocketAddr),
    /// Here, or at any free port of the same address when it is taken.
    Preferably(SocketAddr),
}

/// A server that runs: the service, and what operators ask. Dropping it stops both.
#[derive(Debug)]
pub struct Server {
    service: Running,
    /// Ends with the server.
    _background: JoinSet<()>,
    admin: Option<Admin>,
}

impl Server {
    /// Where the service listens; at least one address.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.service.addresses()
    }

    /// Where health and metrics are answered.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::address)
    }

    /// Stops accepting, lets requests in flight finish within their grace, and returns once all
    /// threads have ended. Blocks.
    pub fn stop(self) {
        self.service.stop();
    }
}

/// A stream to create at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamToCreate {
    /// Its name.
    pub name: String,
    /// Its shards; `None` makes an on-demand stream.
    pub shards: Option<u32>,
    /// Its region; `None` is that of `Settings`.
    pub region: Option<String>,
}

/// Why a server did not start, as one sentence.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A stream to create was refused.
    #[error("stream {name} cannot be created ({reason}); change --create-stream")]
    Stream {
        /// Its name.
        name: String,
        /// The service's answer.
        reason: Exception,
    },
    /// The admin address cannot be bound, or the system refuses a thread.
    #[error("cannot answer operators on {address} ({reason}); choose another --admin-listen")]
    Admin {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        reason: io::Error,
    },
    /// An address cannot be bound, or the system refuses a thread.
    #[error("{0}; choose another address by --listen")]
    Listen(#[from] NotServing),
}

/// Starts serving `engine`. Stopping does not close the engine. Transitions of streams that were
/// under way, and on-demand streams that scale, go on in the calling runtime.
///
/// # Errors
///
/// See `StartError`; nothing serves then.
pub async fn start(settings: Settings, engine: Engine) -> Result<Server, StartError> {
    let Settings { http, kinesis, durability, streams, region, faults, admin } = settings;
    let context = Context::new(engine, kinesis);
    kinesis::resume_transitions(&context);
    for StreamToCreate { name, shards, region: own } in streams {
        let region = own.unwrap_or_else(|| region.clone());
        if let Err(reason) = kinesis::ensure_stream(&context, &region, &name, shards).await {
            return Err(StartError::Stream { name, reason });
        }
    }
    if !faults.is_empty() {
        context.faults().replace(faults);
    }
    let api = Arc::new(Kinesis { context, durability, tls: http.tls.as_ref().map(Tls::source) });
    let metrics = Arc::new(Metrics::new());
    let service = http::start(&http, &api, &metrics)?;
    let mut background = JoinSet::new();
    background.spawn(Scaler::new(&api.context).run());
    Ok(Server { service, _background: background, admin: start_admin(admin, &api, &metrics)? })
}

fn start_admin(
    listen: AdminListen,
    api: &Arc<Kinesis>,
    metrics: &Arc<Metrics>,
) -> Result<Option<Admin>, StartError> {
    let start = |address| Admin::start(address, Arc::clone(api), Arc::clone(metrics));
    let (address, started) = match listen {
        AdminListen::Off => return Ok(None),
        AdminListen::At(address) => (address, start(address)),
        AdminListen::Preferably(address) => {
            let any = SocketAddr::new(address.ip(), 0);
            (address, start(address).or_else(|_| start(any)))
        }
    };
    started.map(Some).map_err(|reason| StartError::Admin { address, reason })
}

/// The name of a mode, as on the command line.
pub(crate) const fn durability_name(durability: Durability) -> &'static str {
    match durability {
        Durability::Fsync => "fsync",
        Durability::None => "none",
    }
}

struct Kinesis {
    context: Context,
    durability: Durability,
    tls: Option<&'static str>,
}

impl Api for Kinesis {
    type Operation = Operation;

    fn find(&self, target: &str) -> Option<Operation> {
        Operation::of_target(target)
    }

    fn name(&self, operation: Operation) -> &'static str {
        operation.name()
    }

    fn shape(&self, operation: Operation) -> &'static Structure {
        operation.shape()
    }

    fn is_long_read(&self, operation: Operation) -> bool {
        operation == Operation::GetRecords
    }

    async fn run(
        &self,
        operation: Operation,
        principal: &Principal,
        encoding: Encoding,
        body: Body<'_>,
    ) -> Result<Output, Exception> {
        operation.run(&self.context, principal, encoding, body).await
    }

    fn now_seconds(&self) -> u64 {
        self.context.engine.now().0 / 1_000
    }

    fn operations(&self) -> &'static [&'static str] {
        Operation::NAMES
    }

    fn faults(&self) -> &Faults {
        self.context.faults()
    }

    fn health(&self) -> Health {
        let engine = &self.context.engine;
        let stopped = engine.stopped();
        let disk_full = engine.metrics().disk_full.get() != 0;
        let status = match (&stopped, disk_full) {
            (Some(_), _) => Status::Stopped,
            (None, true) => Status::DiskFull,
            (None, false) => Status::Ok,
        };
        Health {
            version: env!("CARGO_PKG_VERSION"),
            status,
            durability: durability_name(self.durability),
            io: engine.log_device(),
            flush_micros: Some(engine.metrics().flush_micros.get()).filter(|micros| *micros > 0),
            stopped,
            disk_full,
            limits: self.context.settings().limits.to_string(),
            on_demand: self.context.settings().on_demand.name(),
            tls: self.tls,
            faults: self.faults().shown().into_iter().map(|shown| shown.rule).collect(),
        }
    }

    fn observed(&self) -> Observed {
        let engine = &self.context.engine;
        let mut values = engine.metrics().values();
        values.extend(self.context.refused());
        values.extend(self.context.fan_out_values());
        let streams = || kinesis::measured_streams(&self.context);
        let mut families = self.context.traffic().collect(streams);
        families.extend(self.faults().collect());
        Observed {
            labels: vec![
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("durability", durability_name(self.durability).to_owned()),
                ("io", engine.log_device().to_owned()),
                ("limits", self.context.settings().limits.to_string()),
                ("on_demand", self.context.settings().on_demand.name().to_owned()),
                ("tls", self.tls.unwrap_or("off").to_owned()),
            ],
            values,
            histograms: engine.metrics().histograms(),
            families,
        }
    }
}
