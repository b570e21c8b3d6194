//! Health and metrics on their own address, and nowhere else.

use super::super::Admin;
use super::*;
use crate::limits;

struct Operators {
    admin: Admin,
    metrics: Arc<Metrics>,
}

impl Operators {
    fn start() -> Self {
        let metrics = Arc::new(Metrics::new());
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let admin = Admin::start(address, Arc::new(Fake::default()), Arc::clone(&metrics)).unwrap();
        Self { admin, metrics }
    }

    fn connect(&self) -> Client {
        Client(TcpStream::connect(self.admin.address()).unwrap())
    }

    fn ask(&self, method: &str, path: &str) -> Reply {
        self.send(method, path, "")
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        let mut client = self.connect();
        let length = body.len();
        client.write(format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        let reply = client.reply();
        assert!(client.is_closed());
        reply
    }
}

#[test]
fn health_is_one_json_object() {
    let reply = Operators::start().ask("GET", "/health");
    let expected = concat!(
        r#"{"version":"0","status":"ok","durability":"none","io":"simulated","#,
        r#""flush_micros":null,"stopped":null,"disk_full":false,"limits":"aws","on_demand":"aws","tls":null,"faults":[]}"#,
    );
    reply.assert(200, Some("application/json"), expected);
}

#[test]
fn metrics_are_text_for_prometheus() {
    let operators = Operators::start();
    operators.metrics.answered("PutRecord", hyper::StatusCode::OK, 0.002, 10);
    let reply = operators.ask("GET", "/metrics");
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4"));
    let text = String::from_utf8(reply.body).unwrap();
    for line in [
        "kinelog_engine_groups 7",
        r#"kinelog_info{io="simulated"} 1"#,
        r#"kinelog_requests_total{operation="PutRecord",status="200"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
}

#[test]
fn faults_are_put_shown_and_deleted() {
    let operators = Operators::start();
    let json = Some("application/json");
    operators.ask("GET", "/faults").assert(200, json, r#"{"rules":[]}"#);
    let shown =
        r#"{"rules":[{"rule":"Echo:p=0.5:cut","struck":0},{"rule":"*:throttle","struck":0}]}"#;
    let set = r#"{"seed": 1, "rules": ["Echo:p=0.5:cut", {"operation": "*", "throttle": true}]}"#;
    operators.send("PUT", "/faults", set).assert(200, json, shown);
    operators.ask("GET", "/faults").assert(200, json, shown);

    let text = Some("text/plain");
    let unknown = "fault rule `Sing:cut`: there is no operation Sing\n";
    let refused = operators.send("PUT", "/faults", r#"{"rules": ["Sing:cut"]}"#);
    refused.assert(400, text, unknown);
    let long = " ".repeat(limits::FAULT_RULES_BYTES_MAX + 1);
    let refused = operators.send("PUT", "/faults", &long);
    refused.assert(413, text, "these are too many bytes\n");
    operators.send("POST", "/faults", set).assert(405, text, "GET, PUT or DELETE\n");
    operators.ask("GET", "/faults").assert(200, json, shown);

    operators.ask("DELETE", "/faults").assert(200, json, r#"{"rules":[]}"#);
}

#[test]
fn other_questions_are_refused() {
    let operators = Operators::start();
    assert_eq!(operators.ask("GET", "/").status(), 404);
    assert_eq!(operators.ask("DELETE", "/health").status(), 405);
}

#[test]
fn the_service_does_not_answer_operators() {
    let server = Server::start();
    for path in ["/health", "/metrics", "/_kinelog/health"] {
        let reply = server.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(reply.status(), 403, "{path}");
    }
}

#[test]
fn a_taken_address_is_an_error() {
    let operators = Operators::start();
    let again = Admin::start(operators.admin.address(), Arc::new(Fake::default()), Arc::default());
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn silent_connections_do_not_hold_up_the_end() {
    let operators = Operators::start();
    let silent: Vec<_> = (0..=limits::ADMIN_CONNECTIONS_MAX).map(|_| operators.connect()).collect();
    drop(operators);
    drop(silent);
}
