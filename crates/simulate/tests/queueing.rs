//! What is simulated is what the theory of queues says, where it says something in closed form.

mod support;

use fairlead_simulate::scenario::Law;
use serde_json::json;
use support::World;

/// The mean wait of an M/M/c queue, in units of the mean work (Erlang's C).
fn mean_wait(servers: u32, load: f64) -> f64 {
    let offered = f64::from(servers) * load;
    let mut term = 1.0;
    let mut sum = 1.0;
    for server in 1..servers {
        term *= offered / f64::from(server);
        sum += term;
    }
    let last = term * offered / f64::from(servers) / (1.0 - load);
    let waits = last / (sum + last);
    waits / (f64::from(servers) * (1.0 - load))
}

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() < tolerance, "{found} is not {expected}");
}

#[test]
fn one_server_waits_as_the_formula_says() {
    for load in [0.5, 0.8] {
        let report = World::new(1, 1, 100.0 * load, 10_000).run();
        close(report.latency.mean_ms, 10.0 / (1.0 - load), 0.03);
        close(report.backends[0].busy, load, 0.01);
        // The time in an M/M/1 queue is exponential.
        let p99 = report.latency.p99_ms.expect("there are answers");
        close(p99, 10.0 / (1.0 - load) * 100.0_f64.ln(), 0.05);
    }
}

#[test]
fn a_server_of_many_slots_waits_as_the_formula_says() {
    for (slots, load) in [(4, 0.8), (16, 0.9)] {
        let rate = 100.0 * f64::from(slots) * load;
        let report = World::new(1, slots, rate, 3_000).run();
        close(report.latency.mean_ms, 10.0 * (1.0 + mean_wait(slots, load)), 0.03);
    }
}

/// Eight backends that take one request at a time, and the engine's queue before them: one line for all.
#[test]
fn the_engine_s_queue_is_one_line_for_all_backends() {
    let mut world = World::new(8, 1, 640.0, 1_000).algorithm(json!("least_connections"));
    world.pool["queue"] = json!({"size": 10_000, "timeout_ms": 60_000, "priority": null});
    for backend in world.pool["backends"].as_array_mut().expect("there are backends") {
        backend["max_in_flight"] = json!(1);
    }
    let report = world.run();
    close(report.latency.mean_ms, 10.0 * (1.0 + mean_wait(8, 0.8)), 0.03);
    assert_eq!(report.failed, 0);
    assert!(report.backends.iter().all(|backend| backend.max_in_flight == 1));
}

/// Pollaczek and Khinchine: the wait goes with the square of the work.
#[test]
fn the_spread_of_the_work_lengthens_the_wait() {
    let load = 0.7;
    let wait = |spread: f64| 10.0 * load * (1.0 + spread) / (2.0 * (1.0 - load));
    let even = World::new(1, 1, 100.0 * load, 20_000).work(Law::Constant { ms: 10.0 }).run();
    close(even.latency.mean_ms, 10.0 + wait(0.0), 0.02);
    // A lognormal law with a mean of 10 ms; the square of its coefficient of variation is exp(sigma²) − 1.
    let sigma = 1.0_f64;
    let median_ms = 10.0 * (-sigma * sigma / 2.0).exp();
    let uneven = World::new(1, 1, 100.0 * load, 20_000).work(Law::Lognormal { median_ms, sigma }).run();
    close(uneven.latency.mean_ms, 10.0 + wait(sigma.exp() - 1.0), 0.06);
}

#[test]
fn work_is_drawn_from_samples() {
    let report = World::new(1, 50, 100.0, 200).work(Law::Samples { ms: vec![5.0, 5.0, 5.0, 25.0] }).run();
    close(report.latency.mean_ms, 10.0, 0.02);
    close(report.latency.p50_ms.expect("there are answers"), 5.0, 0.01);
    close(report.latency.max_ms, 25.0, 0.001);
}
