//! Calls that outlive restarts of the server.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use kinelog_tests::raw::{self, Connection};
use serde_json::Value as Json;

use crate::{Failure, pause};

/// How long a server may be away.
const PATIENCE: Duration = Duration::from_mins(1);

/// One caller.
pub(crate) struct Caller {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Caller {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Status and body of an answer; whether the call may have been carried out more than once.
    ///
    /// # Errors
    ///
    /// Nothing is answered for too long.
    pub(crate) fn call(
        &mut self,
        operation: &str,
        body: &Json,
    ) -> Result<(u16, Json, bool), Failure> {
        let call = raw::call(operation, body.to_string());
        let start = Instant::now();
        let mut is_repeated = false;
        while start.elapsed() < PATIENCE {
            let connection = self.connection.take().map(Ok);
            let connection =
                connection.unwrap_or_else(|| TcpStream::connect(self.address).map(Connection));
            if let Ok(mut connection) = connection {
                match connection.exchange(&call) {
                    Some(answer) if answer.status < 500 => {
                        self.connection = Some(connection);
                        let body = serde_json::from_slice(&answer.body).unwrap_or_default();
                        return Ok((answer.status, body, is_repeated));
                    }
                    Some(_) | None => is_repeated = true,
                }
            }
            pause(Duration::from_millis(20));
        }
        Err(format!("{operation} is not answered for {PATIENCE:?}").into())
    }

    /// The body of a success.
    ///
    /// # Errors
    ///
    /// As `call`, or it is refused.
    pub(crate) fn ok(&mut self, operation: &str, body: &Json) -> Result<Json, Failure> {
        let (status, answer, _) = self.call(operation, body)?;
        if status == 200 { Ok(answer) } else { Err(format!("{operation} {body}: {answer}").into()) }
    }
}
