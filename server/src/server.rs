//! Assembly: one call starts the service on an open store. The binary and in-process tests use it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::Engine;
use kinelog_engine::config::Durability;

use crate::aws::Encoding;
use crate::aws::exception::Exception;
use crate::aws::sigv4::Principal;
use crate::aws::value::Value;
use crate::http::{self, Api, Health, Running, Status};
use crate::kinesis::Operation;
use crate::kinesis::context::{self, Context};
use crate::metrics::Metrics;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The front end.
    pub http: http::Settings,
    /// The service.
    pub kinesis: context::Settings,
    /// What an acknowledgement of `engine` means; only reported.
    pub durability: Durability,
}

/// Starts serving `engine` and returns at once. Stopping does not close the engine.
///
/// # Errors
///
/// The address cannot be bound, or the system refuses a thread.
pub fn start(settings: Settings, engine: Engine) -> io::Result<Running> {
    let Settings { http, kinesis, durability } = settings;
    let api = Kinesis { context: Context::new(engine, kinesis), durability };
    http::start(&http, &Arc::new(api), &Arc::new(Metrics::new()))
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
}

impl Api for Kinesis {
    type Operation = Operation;

    fn find(&self, target: &str) -> Option<Operation> {
        Operation::of_target(target)
    }

    fn name(&self, operation: Operation) -> &'static str {
        operation.name()
    }

    async fn run(
        &self,
        operation: Operation,
        principal: &Principal,
        encoding: Encoding,
        body: Value<'_>,
    ) -> Result<Bytes, Exception> {
        operation.run(&self.context, principal, encoding, body).await
    }

    fn now_seconds(&self) -> u64 {
        self.context.engine.now().0 / 1_000
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
            log_device: engine.log_device(),
            stopped,
            disk_full,
            limits: self.context.settings().limits.to_string(),
        }
    }

    fn gauges(&self) -> Vec<(&'static str, u64)> {
        self.context.engine.metrics().values()
    }
}
