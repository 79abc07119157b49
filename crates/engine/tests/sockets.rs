//! Listening sockets: where they come to, who may have them, and what a reload leaves alone.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::{Value, json};
use support::*;

fn ip(address: SocketAddr) -> Value {
    json!({"ip": {"address": address}})
}

fn unix(path: &Path) -> Value {
    bind_to("sock", &json!({"unix": {"path": path}}))
}

fn one(version: u64, bind: Value) -> Value {
    spec(version, &[listener("web", &[bind])], &[empty_pool()])
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn an_address_of_another_program_is_named_and_nothing_changes() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let engine = engine();
    let before = address(&apply(&engine, one(1, bind(":0"))), "web", ":0");
    let binds = [bind(":0"), bind("free"), bind_to("taken", &ip(taken))];
    let error = refused(&engine, spec(2, &[listener("web", &binds)], &[empty_pool()]));
    assert!(error.starts_with("listeners.web.bind.2: "), "{error}");
    assert!(error.contains("another program listens there: stop it or choose another address"), "{error}");
    assert_eq!(stats(&engine)["plan_version"], 1);
    assert_eq!(Client::connect(before).get("/").0, 503);
}

#[test]
fn what_was_bound_before_a_failure_is_closed_again() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let engine = engine();
    let binds = [bind_to("free", &ip(free)), bind_to("taken", &ip(other.local_addr().unwrap()))];
    refused(&engine, spec(1, &[listener("web", &binds)], &[empty_pool()]));
    TcpListener::bind(free).expect("the address is free");
}

#[test]
fn a_second_engine_does_not_share_a_port_in_silence() {
    let (first, second) = (engine(), engine());
    let taken = address(&apply(&first, one(1, bind(":0"))), "web", ":0");
    let error = refused(&second, one(1, bind_to("same", &ip(taken))));
    assert!(error.contains("another program listens there"), "{error}");
}

#[test]
fn a_port_without_address_takes_ipv4_and_ipv6() {
    let engine = engine();
    let applied = apply(&engine, one(1, bind_to(":0", &json!({"any": {"port": 0}}))));
    let port = address(&applied, "web", ":0").port();
    assert_eq!(applied.bound["web"][":0"], format!("[::]:{port}"));
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        assert_eq!(Client::connect(SocketAddr::new(ip, port)).get("/").0, 503, "{ip}");
    }
}

#[test]
fn a_free_port_is_the_one_of_an_earlier_life_if_that_is_free() {
    let hint = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hinted = json!({
        "text": ":0", "address": {"ip": {"address": "127.0.0.1:0"}}, "port_hint": hint.port(),
    });
    {
        let engine = engine();
        assert_eq!(address(&apply(&engine, one(1, hinted.clone())), "web", ":0"), hint);
    }
    let _other = TcpListener::bind(hint).unwrap();
    let engine = engine();
    assert_ne!(address(&apply(&engine, one(1, hinted)), "web", ":0"), hint);
}

#[test]
fn an_unchanged_bind_keeps_its_socket_under_any_listener() {
    let engine = engine();
    let before = address(&apply(&engine, one(1, bind(":0"))), "web", ":0");
    let moved = apply(&engine, spec(2, &[listener("other", &[bind(":0")])], &[empty_pool()]));
    assert_eq!(address(&moved, "other", ":0"), before);
    assert_eq!(Client::connect(before).get("/").0, 503);
    let stats = stats(&engine);
    assert_eq!(stats["listeners"][0]["name"], "other");
    assert_eq!(stats["listeners"][0]["accepted"], 1);
}

#[test]
fn listeners_on_free_ports_of_the_same_text_keep_each_their_own() {
    let engine = engine();
    let apply = |version, names: &[&str]| {
        let listeners: Vec<_> = names.iter().map(|name| listener(name, &[bind(":0")])).collect();
        apply(&engine, spec(version, &listeners, &[empty_pool()]))
    };
    let both = apply(1, &["a", "b"]);
    let [a, b] = ["a", "b"].map(|name| address(&both, name, ":0"));
    assert_ne!(a, b);
    let swapped = apply(2, &["b", "a"]);
    assert_eq!(["a", "b"].map(|name| address(&swapped, name, ":0")), [a, b]);
    let more = apply(3, &["new", "b", "a"]);
    assert_eq!(["a", "b"].map(|name| address(&more, name, ":0")), [a, b]);
    // One that goes takes its own port with it, and who comes under a new name may have it.
    let renamed = apply(4, &["renamed", "b", "new"]);
    assert_eq!(address(&renamed, "renamed", ":0"), a);
    let last = apply(5, &["b"]);
    assert_eq!(address(&last, "b", ":0"), b);
    assert_eq!(Client::connect(b).get("/").0, 503);
    assert!(TcpStream::connect(a).is_err());
}

#[test]
fn one_address_may_have_its_listener_beside_the_one_of_all() {
    let engine = engine();
    let all = bind_to(":0", &json!({"any": {"port": 0}}));
    let port = address(&apply(&engine, one(1, all.clone())), "web", ":0").port();
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listeners = [listener("web", &[all]), listener("own", &[bind_to("own", &ip(own))])];
    apply(&engine, spec(2, &listeners, &[empty_pool()]));
    for _ in 0..10 {
        Client::connect(own).get("/");
    }
    Client::connect(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), port))).get("/");
    let accepted = || -> Vec<Value> {
        stats(&engine)["listeners"].as_array().unwrap().iter().map(|one| one["accepted"].clone()).collect()
    };
    until("each has its own", || accepted() == vec![json!(1), json!(10)]);
}

#[test]
fn connections_made_during_reloads_are_all_served() {
    let engine = engine();
    let bound = address(&apply(&engine, one(1, bind(":0"))), "web", ":0");
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            for _ in 0..300 {
                assert_eq!(Client::connect(bound).get("/").0, 503);
            }
        });
        let mut version = 1;
        while !client.is_finished() {
            version += 1;
            let name = if version % 2 == 0 { "even" } else { "odd" };
            apply(&engine, spec(version, &[listener(name, &[bind(":0")])], &[empty_pool()]));
        }
    });
}

#[test]
fn a_bind_that_goes_is_free_afterwards() {
    let engine = engine();
    let bound = address(&apply(&engine, one(1, bind("first"))), "web", "first");
    apply(&engine, one(2, bind("second")));
    assert!(TcpStream::connect(bound).is_err());
    TcpListener::bind(bound).expect("the address is free");
}

#[test]
fn a_unix_socket_has_its_mode_and_goes_with_its_bind() {
    let directory = directory();
    let path = directory.path().join("web.sock");
    let engine = engine();
    let mut listener = listener("web", &[unix(&path)]);
    listener["socket"]["mode"] = json!(0o660);
    apply(&engine, spec(1, &[listener], &[empty_pool()]));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(Client::over(UnixStream::connect(&path).unwrap()).get("/").0, 503);
    apply(&engine, one(2, bind(":0")));
    assert!(!path.exists());
}

#[test]
fn a_unix_socket_that_a_dead_process_left_is_replaced() {
    let directory = directory();
    let path = directory.path().join("web.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let engine = engine();
    apply(&engine, one(1, unix(&path)));
    assert_eq!(Client::over(UnixStream::connect(&path).unwrap()).get("/").0, 503);
}

#[test]
fn a_unix_socket_in_use_and_a_file_are_left_alone() {
    let directory = directory();
    let (socket, file) = (directory.path().join("web.sock"), directory.path().join("notes.txt"));
    let _other = UnixListener::bind(&socket).unwrap();
    std::fs::write(&file, "text").unwrap();
    let engine = engine();
    let error = refused(&engine, one(1, unix(&socket)));
    assert!(error.contains("another program listens there"), "{error}");
    let error = refused(&engine, one(1, unix(&file)));
    assert!(error.contains("the file is no socket"), "{error}");
    assert!(UnixStream::connect(&socket).is_ok());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
}
