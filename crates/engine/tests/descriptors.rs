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

    let limit = getrlimit(Resource::Nofile);
    let used = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(used + 16), maximum: limit.maximum }).unwrap();
    let mut fillers: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // The one that is given up is for the client's end: none is left for the engine's.
    fillers.pop();
    let mut client = Client::connect(bound);
    client.send("/");

    let paused = event(&engine, |what| matches!(what, What::AcceptPaused { .. }));
    let What::AcceptPaused { reason, .. } = paused else { unreachable!() };
    assert!(reason.contains("Too many open files"), "{reason}");
    assert_eq!(open.get("/").0, 503, "what is open is served");

    let (status, fields) = client.head();
    assert_eq!(status, 503, "who waits for long is told so, on the descriptor that was kept for it");
    assert!(fields.iter().any(|field| field.contains("no file descriptors left")), "{fields:?}");

    setrlimit(Resource::Nofile, limit).unwrap();
    drop(fillers);
    assert_eq!(Client::connect(bound).get("/").0, 503);
    event(&engine, |what| matches!(what, What::AcceptResumed { .. }));
}
