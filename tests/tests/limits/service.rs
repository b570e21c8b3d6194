//! A service in this process: the real front end and the real engine on a disk in memory, with bounds
//! that suit a test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use kinelog::faults::RuleSet;
use kinelog::http::{self, Bounds};
use kinelog::kinesis::context;
use kinelog::server::{self, AdminListen, Server};
use kinelog::throttle::Limits;
use kinelog_engine::Engine;
use kinelog_engine::config::{Config, Durability};
use kinelog_engine::device::clock::SystemClock;
use kinelog_engine::device::simulated::SimulatedDisk;
use kinelog_tests::raw::{self, Connection};
use tokio::runtime::Runtime;

use crate::STREAM;

pub(crate) struct Service {
    engine: Engine,
    server: Server,
    // Last, so that what it runs ends after the server.
    runtime: Runtime,
}

impl Service {
    /// Without limits of rates, with the active stream `s` of one shard.
    pub(crate) fn start(bounds: Bounds) -> Self {
        let service =
            Self::with(bounds, Config { log_file_bytes: 1 << 22, ..Config::new("/store") });
        raw::create_stream(&mut service.connect(), STREAM, 1);
        service
    }

    pub(crate) fn with(bounds: Bounds, config: Config) -> Self {
        let disk = SimulatedDisk::new(1);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let (engine, server) = runtime.block_on(async {
            let engine = Engine::open(config, disk.device(Arc::new(SystemClock))).await.unwrap();
            let local = (Ipv4Addr::LOCALHOST, 0).into();
            let http = http::Settings {
                listen: vec![local],
                threads: 1,
                clock_skew_seconds: 300,
                stop_grace: Duration::ZERO,
                bounds,
                tls: None,
            };
            let kinesis = context::Settings {
                limits: Limits::OFF,
                transition_ms: 1,
                ..context::Settings::default()
            };
            let settings = server::Settings {
                http,
                kinesis,
                durability: Durability::Fsync,
                streams: Vec::new(),
                region: "us-east-1".to_owned(),
                faults: RuleSet::default(),
                admin: AdminListen::At(local),
            };
            (engine.clone(), server::start(settings, engine).await.unwrap())
        });
        Self { engine, server, runtime }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    /// A counter or gauge, as operators see it.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut operator = TcpStream::connect(self.server.admin_address().unwrap()).unwrap();
        operator.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        operator.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("{name}: {text}"))
    }

    /// Waits until so many connections are open.
    pub(crate) fn wait_for_connections(&self, count: u64) {
        while self.metric("kinelog_connections ") != count {}
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.runtime.block_on(self.engine.close());
    }
}
