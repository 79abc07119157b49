//! The sockets beside the traffic: the channel and the admin interface.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "the other side of a test needs a thread of its own")]

mod support;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use fairlead_engine::{Engine, Settings};
use serde_json::{Value, json};
use support::*;
use tempfile::TempDir;

fn served() -> (Engine, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { directory: Some(directory.path().to_owned()), ..Settings::in_process(1) };
    (Engine::start(settings).unwrap(), directory)
}

fn web(version: u64) -> Value {
    spec(version, &[listener("web", &[bind(":0")])], &[empty_pool()])
}

/// A control process' end of the channel.
struct Control(UnixStream);

impl Control {
    fn connect(directory: &Path) -> Self {
        let stream = UnixStream::connect(directory.join("engine.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    fn greeted(directory: &Path) -> (Self, Value) {
        let mut control = Self::connect(directory);
        let hello = control.receive();
        control.send(&json!({"hello": {"protocol": 1, "version": hello["hello"]["version"]}}));
        (control, hello)
    }

    fn send(&mut self, frame: &Value) {
        let text = frame.to_string();
        self.0.write_all(&(text.len() as u32).to_be_bytes()).unwrap();
        self.0.write_all(text.as_bytes()).unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        std::iter::repeat_with(|| self.receive()).find(wanted).unwrap()
    }

    fn call(&mut self, call: &Value) -> Value {
        self.send(call);
        self.find(|frame| frame["id"] == call["id"])
    }
}

fn admin(directory: &TempDir) -> Client<UnixStream> {
    Client::over(UnixStream::connect(directory.path().join("admin.sock")).unwrap())
}

#[test]
fn the_channel_takes_the_calls_of_an_engine() {
    let (_engine, directory) = served();
    let (mut control, hello) = Control::greeted(directory.path());
    assert_eq!(hello["hello"]["plan_version"], Value::Null);
    assert_eq!(hello["hello"]["workers"], 1);
    let applied = control.call(&json!({"id": 1, "call": "apply", "spec": web(3)}));
    assert_eq!(applied["ok"]["version"], 3);
    let bound = applied["ok"]["bound"]["web"][":0"].as_str().unwrap().parse().unwrap();
    assert_eq!(Client::connect(bound).get("/").0, 503);
    let members = json!({"pool": "app", "generation": 1, "backends": []});
    assert_eq!(control.call(&json!({"id": 2, "call": "members", "members": members}))["ok"], json!({}));
    assert_eq!(
        control.call(&json!({"id": 3, "call": "command", "command": {"reopen_logs": {}}}))["ok"],
        json!({})
    );
    let stats = control.call(&json!({"id": 4, "call": "stats", "routes": true}));
    assert_eq!(stats["ok"]["routes"][0]["id"], "all");
    let refused = control.call(&json!({"id": 5, "call": "apply", "spec": spec(4, &[], &[pool("app", &[])])}));
    assert_eq!(refused["error"]["kind"], "refused");
    assert_eq!(refused["error"]["errors"][0]["path"], json!(["pools", "app", "backends"]));
}

#[test]
fn statistics_and_events_come_unasked() {
    let (engine, directory) = served();
    let (mut control, _) = Control::greeted(directory.path());
    apply(&engine, web(8));
    let applied = control.find(|frame| frame["event"]["kind"] == "applied");
    assert_eq!(applied["event"]["version"], 8);
    control.find(|frame| frame["stats"]["plan_version"] == 8);
}

#[test]
fn a_newer_control_process_replaces_the_one_before() {
    let (engine, directory) = served();
    apply(&engine, web(2));
    let (mut first, _) = Control::greeted(directory.path());
    let _stranger = Control::connect(directory.path());
    assert_eq!(
        first.call(&json!({"id": 1, "call": "stats"}))["ok"]["ready"],
        true,
        "who says nothing replaces nobody"
    );
    let (mut second, hello) = Control::greeted(directory.path());
    assert_eq!(hello["hello"]["plan_version"], 2);
    let mut rest = Vec::new();
    first.0.read_to_end(&mut rest).unwrap();
    assert_eq!(second.call(&json!({"id": 1, "call": "stats"}))["ok"]["ready"], true);
}

#[test]
fn a_control_process_of_another_version_is_told_so() {
    let (_engine, directory) = served();
    let mut control = Control::connect(directory.path());
    control.receive();
    control.send(&json!({"hello": {"protocol": 1, "version": "0.0.0"}}));
    let error = control.receive();
    assert_eq!(error["error"]["kind"], "restart_needed");
}

#[test]
fn private_sockets_are_for_their_owner_and_go_with_the_engine() {
    let (engine, directory) = served();
    let sockets = ["engine.sock", "admin.sock"].map(|name| directory.path().join(name));
    for socket in &sockets {
        assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    drop(engine);
    assert!(sockets.iter().all(|socket| !socket.exists()));
}

#[test]
fn a_directory_has_one_engine() {
    let (_engine, directory) = served();
    let settings = Settings { directory: Some(directory.path().to_owned()), ..Settings::in_process(1) };
    let error = Engine::start(settings).unwrap_err().to_string();
    assert!(error.contains(&format!("the engine with PID {} works here", std::process::id())), "{error}");
}

#[test]
fn health_and_readiness_are_answered_on_one_connection() {
    let (engine, directory) = served();
    let mut client = admin(&directory);
    assert_eq!(client.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(client.get("/readyz"), (503, "no configuration yet\n".to_owned()));
    apply(&engine, web(1));
    assert_eq!(client.get("/readyz"), (200, "ready\n".to_owned()));
}

#[test]
fn metrics_are_valid_prometheus_text() {
    let (engine, directory) = served();
    let bound = address(&apply(&engine, web(1)), "web", ":0");
    assert_eq!(Client::connect(bound).get("/").0, 503);
    until("the request is counted", || stats(&engine)["totals"]["requests"] == 1);
    let (status, page) = admin(&directory).get("/metrics");
    assert_eq!(status, 200);
    let mut family = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().unwrap().to_owned();
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, family, "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(series.starts_with(&family), "{line} is not in {family}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(
        page.contains("fairlead_requests_total{listener=\"web\",route=\"all\",code=\"503\"} 1\n"),
        "{page}"
    );
    assert!(page.contains("fairlead_request_duration_seconds_count{listener=\"web\"} 1\n"), "{page}");
    assert!(page.contains("fairlead_plan_version 1\n"), "{page}");
}

#[test]
fn other_paths_are_the_control_process() {
    let (_engine, directory) = served();
    let (status, body) = admin(&directory).get("/api/v1/status");
    assert_eq!(status, 503);
    assert!(body.contains("the control process doesn't answer"), "{body}");

    let control = UnixListener::bind(directory.path().join("control.sock")).unwrap();
    let relayed = std::thread::spawn(move || {
        let mut stream = Client::over(control.accept().unwrap().0);
        let mut request = vec![stream.line()];
        request.extend(std::iter::from_fn(|| Some(stream.line()).filter(|line| !line.is_empty())));
        stream
            .stream()
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
            .unwrap();
        request
    });
    let mut client = admin(&directory);
    client
        .stream()
        .write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nFairlead-Via: forged\r\n\r\n")
        .unwrap();
    assert_eq!(client.answer(), (200, "hi".to_owned()));
    let request = relayed.join().unwrap();
    assert_eq!(request[0], "GET /api/v1/status HTTP/1.1");
    let via: Vec<_> = request.iter().filter(|line| line.starts_with("Fairlead-Via")).collect();
    assert_eq!(via, ["Fairlead-Via: socket"]);
}
