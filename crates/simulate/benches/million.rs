//! How long a million requests over a hundred backends take, by algorithm; one is slow, all are judged. The bar is 10 s.
//! `cargo bench -p fairlead-simulate`

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use fairlead_simulate::scenario::What;
use serde_json::{Value, json};
use support::{World, least_time};

const BAR: f64 = 10.0;

fn algorithms() -> [(&'static str, Value); 6] {
    let hash = |bound: Option<u32>| json!({"consistent_hash": {"key": ["client"], "table": "maglev", "bounded_load_thousandths": bound}});
    [
        ("round_robin", json!("round_robin")),
        ("least_connections", json!("least_connections")),
        ("least_time", least_time()),
        ("random", json!({"random": {"choices": 2, "by": "least_connections"}})),
        ("consistent_hash", hash(None)),
        ("bounded_hash", hash(Some(1_250))),
    ]
}

#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures and says so")]
fn main() {
    for (name, algorithm) in algorithms() {
        let mut world = World::new(100, 8, 56_000.0, 600).judged().algorithm(algorithm);
        world.scenario.requests = Some(1_000_000);
        let world = world.befalls(5, 10, What::Slow { factor: 3.0 });
        let began = Instant::now();
        let report = world.run();
        let seconds = began.elapsed().as_secs_f64();
        assert_eq!(report.requests, 1_000_000);
        let told = if seconds < BAR { "" } else { ": over the bar of 10 s" };
        // The figure is the same in every build, as all of a simulation's are.
        println!("{name:<18} {seconds:6.2} s, mean latency {} ms{told}", report.latency.mean_ms);
    }
}
