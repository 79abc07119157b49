//! Without file descriptors. Alone in its process, whose limit it lowers.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::fs::File;

use fairlead_engine::What;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::*;

#[test]
fn without_descriptors_accepting_pauses_and_what_is_open_is_served() {
    let engine = engine();
    let bound =
        address(&apply(&engine, spec(1, &[listener("web", &[bind(":0")])], &[empty_pool()])), "web", ":0");
    let mut open = Client::connect(bound);
    assert_eq!(open.get("/").0, 503);

    // Connections that wait have their own end's descriptor already; what is left is used up.
    let mut waiting: Vec<_> = Vec::new();
    let limit = getrlimit(Resource::Nofile);
    let used = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(used + 16), maximum: limit.maximum }).unwrap();
    let reserve: Vec<_> = (0..4).map(|_| File::open("/dev/null").unwrap()).collect();
    let mut fillers = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        fillers.push(file);
    }
    drop(reserve);
    let mut client = Client::connect(bound);
    client.send("/");
    while let Ok(file) = File::open("/dev/null") {
        fillers.push(file);
    }
    waiting.push(client);

    let paused = event(&engine, |what| matches!(what, What::AcceptPaused { .. }));
    let What::AcceptPaused { reason, .. } = paused else { unreachable!() };
    assert!(reason.contains("Too many open files"), "{reason}");
    assert_eq!(open.get("/").0, 503, "what is open is served");

    setrlimit(Resource::Nofile, limit).unwrap();
    drop(fillers);
    assert_eq!(waiting[0].answer().0, 503);
    event(&engine, |what| matches!(what, What::AcceptResumed { .. }));
    assert_eq!(Client::connect(bound).get("/").0, 503);
}
