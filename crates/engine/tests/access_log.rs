//! The access log: its formats, its file, and what becomes of it when the file is moved away.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use fairlead_engine::{Command, Engine};
use serde_json::{Value, json};
use support::*;

fn logged(path: &Path, format: &Value, pools: &[Value]) -> Value {
    let mut spec = spec(1, &[listener("web", &[bind(":0")])], pools);
    spec["access_log"] = json!({"path": path, "format": format, "sample": 1.0});
    spec
}

fn read_lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn line_of(path: &Path) -> String {
    until("a line is written", || !read_lines(path).is_empty());
    read_lines(path).remove(0)
}

fn request(engine: &Engine, spec: Value, text: &str) {
    let mut client = Client::connect(address(&apply(engine, spec), "web", ":0"));
    client.stream().write_all(text.as_bytes()).unwrap();
    client.answer();
}

#[test]
fn a_json_line_has_every_field_of_the_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let origin = origin();
    let engine = engine();
    let pools = [pool("app", &[backend("a", origin.address)])];
    let text = "GET /x?y=1 HTTP/1.1\r\nHost: test\r\nUser-Agent: \"}\\u000a{\r\n\r\n";
    request(&engine, logged(&path, &json!("json"), &pools), text);
    let line: Value = serde_json::from_str(&line_of(&path)).unwrap();
    let expected = [
        ("client", json!("127.0.0.1")),
        ("method", json!("GET")),
        ("path", json!("/x?y=1")),
        ("host", json!("test")),
        ("status", json!(200)),
        ("listener", json!("web")),
        ("route", json!("all")),
        ("pool", json!("app")),
        ("backend", json!("a")),
        ("tries", json!(1)),
        ("response_bytes", json!(2)),
        ("reason", Value::Null),
        ("blame", Value::Null),
        ("user_agent", json!("\"}\\u000a{")),
    ];
    for (field, value) in expected {
        assert_eq!(line[field], value, "{field}");
    }
    assert!(line["duration"].as_f64().unwrap() > 0.0);
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_combined_line_is_what_other_servers_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let engine = engine();
    let text = "GET /x HTTP/1.1\r\nHost: test\r\nReferer: http://here/\r\nUser-Agent: me \"too\"\r\n\r\n";
    request(&engine, logged(&path, &json!("combined"), &[empty_pool()]), text);
    let line = line_of(&path);
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(line.contains("] \"GET /x HTTP/1.1\" 503 "), "{line}");
    assert!(line.ends_with("\"http://here/\" \"me \\\"too\\\"\""), "{line}");
}

#[test]
fn a_template_is_filled_in() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let engine = engine();
    let format = json!({"template": "{{{method}}} {path} {status} {backend} [{blame}]"});
    request(&engine, logged(&path, &format, &[empty_pool()]), "GET /x HTTP/1.1\r\nHost: test\r\n\r\n");
    let line = line_of(&path);
    assert!(line.starts_with("{GET} /x 503 - ["), "{line}");
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew_when_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("access.log"), directory.path().join("access.log.1"));
    let engine = engine();
    let applied = apply(&engine, logged(&path, &json!({"template": "{path}"}), &[empty_pool()]));
    let mut client = Client::connect(address(&applied, "web", ":0"));
    client.get("/first");
    until("the first line is written", || read_lines(&path) == ["/first"]);
    fs::rename(&path, &moved).unwrap();
    engine.command(Command::ReopenLogs {});
    until("the file is there again", || path.exists());
    client.get("/second");
    until("the second line is written", || read_lines(&path) == ["/second"]);
    assert_eq!(read_lines(&moved), ["/first"]);
}

#[test]
fn a_log_that_cannot_be_opened_refuses_the_configuration() {
    let engine = engine();
    let error = refused(&engine, logged(Path::new("/nowhere/access.log"), &json!("json"), &[empty_pool()]));
    assert!(error.starts_with("access_log.path: can't be opened: "), "{error}");
    assert_eq!(stats(&engine)["plan_version"], Value::Null);
}
