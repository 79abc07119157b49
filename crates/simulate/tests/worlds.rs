//! What befalls servers, and what the engine's deciders make of it.

mod support;

use fairlead_simulate::scenario::{Checks, Law, What};
use fairlead_simulate::{Refused, Report, Simulation};
use serde_json::json;
use support::{World, least_time, retry, share};

fn ended(report: &Report) {
    assert_eq!(report.requests, report.answered + report.failed);
    assert_eq!(report.failed, report.failures.values().sum::<u64>());
    let sum = |line: &[u64]| line.iter().sum::<u64>();
    let series = &report.series;
    assert_eq!(
        (sum(&series.requests), sum(&series.answered), sum(&series.failed), sum(&series.retries)),
        (report.requests, report.answered, report.failed, report.retries)
    );
    let tries: u64 = report.backends.iter().map(|backend| backend.requests).sum();
    let by_second: u64 = series.backends.iter().flatten().map(|&count| u64::from(count)).sum();
    assert_eq!(tries, by_second);
    assert!((report.backends.iter().map(|backend| backend.share).sum::<f64>() - 1.0).abs() < 1e-9);
}

/// Everything at once.
fn eventful() -> World {
    let mut world = World::new(6, 4, 1_200.0, 40).judged();
    world.pool["circuit_breaker"] =
        json!({"error_thousandths": 500, "window_ms": 2_000, "min_requests": 20, "open_ms": 1_000});
    world.retry = retry(&[500, 503], Some(400));
    world.hedge = json!({"after": {"percentile": 95}, "budget_thousandths": 50});
    world.response_ms = 2_000;
    world.scenario.workers = 3;
    world.scenario.safe = 0.8;
    world.scenario.servers[1].backlog = Some(10);
    world.pool["queue"] = json!({"size": 50, "timeout_ms": 500, "priority": null});
    world.pool["slow_start_ms"] = json!(3_000);
    for backend in world.pool["backends"].as_array_mut().expect("there are backends") {
        backend["max_in_flight"] = json!(40);
    }
    let checks = Checks { interval_ms: 2_000, fast_interval_ms: 500, timeout_ms: 300, initially_up: false };
    world.scenario.checks = Some(checks);
    let mut world = world
        .befalls(2, 8, What::Errors { share: 0.3, status: 500, ms: Some(1.0) })
        .befalls(9, 14, What::Slow { factor: 8.0 })
        .befalls(15, 18, What::Hang)
        .befalls(20, 22, What::Refuse)
        .befalls(22, 26, What::Cold { factor: 5.0 })
        .befalls(27, 30, What::Unreachable)
        .befalls(31, 36, What::Leave);
    for (server, what) in [
        (2, What::Pauses { every_ms: 900, lasting_ms: 200 }),
        (3, What::ChecksFail { share: 0.6 }),
        (4, What::Errors { share: 0.05, status: 429, ms: None }),
    ] {
        world = world.befalls(5, 35, what);
        world.scenario.effects.last_mut().expect("it was added").servers = vec![server];
    }
    world
}

#[test]
fn every_request_ends_once_whatever_happens() {
    for algorithm in [
        json!("round_robin"),
        json!("least_connections"),
        least_time(),
        json!({"random": {"choices": 2, "by": "least_connections"}}),
        json!({"ip_hash": {"v6_prefix": 128}}),
        json!({"consistent_hash": {"key": ["client"], "table": "maglev", "bounded_load_thousandths": 1_250}}),
        json!("first"),
    ] {
        for seed in 1..=3 {
            let mut world = eventful().algorithm(algorithm.clone());
            world.seed = seed;
            let report = world.run();
            ended(&report);
            assert!(report.requests > 40_000 && report.failed < report.requests / 2, "{algorithm}");
            assert!(!report.events.is_empty());
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_result() {
    let report = |seed| {
        let mut world = eventful().algorithm(least_time());
        world.seed = seed;
        serde_json::to_string(&world.run()).expect("it can be written")
    };
    assert_eq!(report(7), report(7));
    assert_ne!(report(7), report(8));
}

#[test]
fn all_algorithms_meet_the_same_requests() {
    let requests = |algorithm| World::new(4, 4, 500.0, 20).algorithm(algorithm).run().series.requests;
    assert_eq!(requests(json!("round_robin")), requests(least_time()));
}

#[test]
fn round_robin_s_shares_are_exact() {
    let mut world = World::new(4, 8, 1_000.0, 60);
    for (backend, weight) in [5, 3, 2, 0].into_iter().enumerate() {
        world.pool["backends"][backend]["weight"] = json!(weight);
    }
    world.scenario.requests = Some(10_000);
    let shares: Vec<u64> = world.run().backends.iter().map(|backend| backend.requests).collect();
    assert_eq!(shares, [5_000, 3_000, 2_000, 0]);
}

#[test]
fn least_time_leaves_a_slow_server_to_those_that_must() {
    let slow = |algorithm| {
        World::new(10, 8, 4_000.0, 30).algorithm(algorithm).befalls(5, 30, What::Slow { factor: 10.0 }).run()
    };
    let (turns, timed) = (slow(json!("round_robin")), slow(least_time()));
    let p99 = |report: &Report| report.latency.p99_ms.expect("there are answers");
    assert!(p99(&timed) * 5.0 < p99(&turns), "{} {}", p99(&timed), p99(&turns));
    assert!(share(&timed, 0, 10..30) < 0.03, "{}", share(&timed, 0, 10..30));
    assert!((share(&turns, 0, 10..30) - 0.1).abs() < 0.001);
}

#[test]
fn a_backend_with_errors_is_degraded_and_recovers() {
    let errors = What::Errors { share: 0.15, status: 500, ms: None };
    let report = World::new(10, 16, 1_000.0, 100).judged().befalls(10, 40, errors).run();
    ended(&report);
    assert!(share(&report, 0, 22..40) < 0.05, "{}", share(&report, 0, 22..40));
    assert!(share(&report, 0, 80..100) > 0.09);
    let states: Vec<(&str, &str)> =
        report.events.iter().map(|event| (event.backend.as_str(), event.to)).collect();
    assert_eq!(states, [("10.0.0.1:80", "degraded"), ("10.0.0.1:80", "up")]);
}

#[test]
fn a_refusing_backend_costs_no_request_and_is_ejected() {
    let report = World::new(5, 8, 500.0, 40).judged().befalls(10, 20, What::Refuse).run();
    ended(&report);
    assert_eq!(report.failures, std::collections::BTreeMap::new());
    let first = report.events.first().expect("it was noticed");
    assert_eq!((first.to, first.reason.as_str()), ("ejected", "connections refused"));
    assert!((10_000..11_000).contains(&first.at_ms), "{}", first.at_ms);
    assert!(share(&report, 0, 12..19) <= 0.0);
    assert!(share(&report, 0, 32..40) > 0.15);
}

#[test]
fn a_hanging_backend_is_bounded_by_timeouts() {
    let mut world = World::new(5, 8, 500.0, 40).judged().befalls(10, 20, What::Hang);
    world.retry = retry(&[], Some(250));
    let report = world.run();
    ended(&report);
    assert!(report.failed < 30, "{:?}", report.failures);
    assert!(report.latency.max_ms < 1_500.0, "{}", report.latency.max_ms);
    assert!(report.backends[0].wasted > 0, "what was given up was worked on all the same");
}

#[test]
fn an_unreachable_backend_costs_the_connect_timeout() {
    let mut world = World::new(5, 8, 500.0, 30).befalls(10, 20, What::Unreachable);
    // Without kept connections, on which nobody learns that what is sent is lost.
    world.pool["idle_connections"]["max"] = json!(0);
    world.pool["timeouts"]["connect_ms"] = json!(300);
    let report = world.run();
    // Those that it had when it was lost wait in vain.
    assert!(report.failed < 10, "{:?}", report.failures);
    let slow = report.series.p99[15].expect("there are answers");
    assert!((300.0..400.0).contains(&slow), "{slow}");
}

#[test]
fn pauses_stop_the_clock_of_what_is_being_worked_on() {
    let pauses = What::Pauses { every_ms: 1_000, lasting_ms: 400 };
    let report = World::new(1, 64, 50.0, 400).befalls(0, 400, pauses).run();
    // Of 1 s, 0.4 stand still: who comes then waits 0.2 s on average, and some who came before.
    let expected = 10.0 + 0.4 * 200.0 + 10.0 * 0.4;
    assert!((report.latency.mean_ms / expected - 1.0).abs() < 0.05, "{}", report.latency.mean_ms);
    assert!(report.latency.max_ms >= 400.0);
}

#[test]
fn who_joins_gets_its_share_and_who_leaves_finishes() {
    let mut world = World::new(4, 8, 400.0, 30).befalls(10, 20, What::Join);
    world.scenario.servers[0].present = false;
    let report = world.run();
    ended(&report);
    assert_eq!(report.failed, 0);
    assert!(share(&report, 0, 0..10) + share(&report, 0, 21..30) <= 0.0);
    assert!((share(&report, 0, 11..19) - 0.25).abs() < 0.01);
}

#[test]
fn an_unproven_backend_gets_nothing_and_a_failed_check_takes_it_out() {
    let mut world = World::new(4, 8, 400.0, 60).befalls(20, 40, What::Hang);
    world.response_ms = 1_000;
    let checks = Checks { interval_ms: 5_000, fast_interval_ms: 500, timeout_ms: 500, initially_up: false };
    world.scenario.checks = Some(checks);
    let report = world.run();
    ended(&report);
    let told: Vec<(u64, &str, &str)> = report
        .events
        .iter()
        .filter(|event| event.backend == "10.0.0.1:80" && event.at_ms > 0)
        .map(|event| (event.at_ms / 1_000, event.to, event.reason.as_str()))
        .collect();
    let [(down, "down", "its check failed"), (up, "up", "its check passed")] = told[..] else {
        panic!("{told:?}");
    };
    // An interval, then three failures of 500 ms each, half a second apart.
    assert!((20..28).contains(&down) && (39..43).contains(&up), "{told:?}");
    assert!(share(&report, 0, 29..39) <= 0.0);
}

#[test]
fn a_circuit_breaker_opens_half_opens_and_closes() {
    for retry in [json!(null), retry(&[500], None)] {
        let errors = What::Errors { share: 0.9, status: 500, ms: None };
        let mut world = World::new(5, 8, 500.0, 40).befalls(10, 20, errors);
        world.retry = retry;
        world.pool["circuit_breaker"] =
            json!({"error_thousandths": 500, "window_ms": 5_000, "min_requests": 20, "open_ms": 3_000});
        let report = world.run();
        ended(&report);
        let (first, last) = (&report.events[0], &report.events[report.events.len() - 1]);
        assert_eq!((first.to, first.reason.as_str()), ("open", "its circuit breaker"));
        assert!((10_000..14_000).contains(&first.at_ms), "{first:?}");
        assert!(last.to == "closed" && last.at_ms < 25_000, "{last:?}");
        assert!(share(&report, 0, 15..20) < 0.01 && share(&report, 0, 30..40) > 0.19);
    }
}

#[test]
fn a_limit_that_adapts_keeps_lines_short() {
    let run = |limit| {
        let mut world = World::new(1, 8, 1_200.0, 30);
        world.pool["backends"][0]["max_in_flight"] = limit;
        world.run()
    };
    let (without, adaptive) = (run(json!(null)), run(json!({"adaptive": {"min": 4, "max": 1_000}})));
    ended(&adaptive);
    let p50 = |report: &Report| report.latency.p50_ms.expect("there are answers");
    assert!(p50(&adaptive) * 10.0 < p50(&without), "{} {}", p50(&adaptive), p50(&without));
    assert!(adaptive.answered * 10 > without.answered * 6);
}

#[test]
fn retries_stay_within_their_budget() {
    let mut world = World::new(4, 64, 1_000.0, 30);
    world.scenario.effects.push(fairlead_simulate::scenario::Effect {
        from_ms: 0,
        until_ms: None,
        servers: vec![0, 1, 2, 3],
        what: What::Errors { share: 1.0, status: 503, ms: None },
    });
    world.retry = retry(&[503], None);
    let report = world.run();
    ended(&report);
    assert_eq!(report.answered, 0);
    let within = report.requests * 19 / 100..report.requests * 21 / 100;
    assert!(within.contains(&report.retries), "{} of {}", report.retries, report.requests);
}

#[test]
fn who_wants_no_more_is_obeyed_and_what_is_wrong_is_said() {
    let world = World::new(2, 8, 10_000.0, 60);
    let mut scenario = world.scenario.clone();
    let mut told = Vec::new();
    let spec = serde_json::json!({
        "version": 1, "max_memory_bytes": null, "zone": null, "drain_timeout_ms": 0, "access_log": null,
        "listeners": [], "pools": [world.pool],
    });
    let spec = serde_json::from_value(spec).expect("the description is whole");
    let mut run = |pool: &str, scenario: &_, stop: bool| {
        let simulation = Simulation { spec: &spec, pool, scenario, seed: 1 };
        let mut progress = |part: f64| {
            told.push(part);
            !stop
        };
        simulation.run(support::base(), &mut progress).map(|_| ())
    };
    assert_eq!(run("app", &scenario, true), Err(Refused::Stopped));
    assert_eq!(run("other", &scenario, false), Err(Refused::NoPool));
    assert_eq!(run("app", &scenario, false), Ok(()));
    scenario.servers.pop();
    assert!(matches!(run("app", &scenario, false), Err(Refused::Scenario(_))));
    assert!(told.len() > 10 && told[1..].is_sorted() && told.iter().all(|part| (0.0..=1.0).contains(part)));
}

#[test]
fn hedging_takes_the_tail_away_within_its_budget() {
    let run = |hedge| {
        let work = Law::Lognormal { median_ms: 8.0, sigma: 1.5 };
        let mut world = World::new(10, 16, 1_500.0, 60).work(work);
        world.hedge = hedge;
        world.run()
    };
    let without = run(json!(null));
    let hedged = run(json!({"after": {"percentile": 95}, "budget_thousandths": 100}));
    ended(&hedged);
    // The work is the same at every server, so these second tries save nothing, but they keep within what they may cost.
    let (least, most) = (hedged.requests / 50, hedged.requests / 10);
    assert!((least..most).contains(&hedged.retries), "{}", hedged.retries);
    assert_eq!((hedged.failed, hedged.requests), (0, without.requests));
    let slow = |hedge| {
        let mut world = World::new(10, 16, 1_500.0, 60).befalls(10, 50, What::Slow { factor: 10.0 });
        world.hedge = hedge;
        world.run().latency.p99_ms.expect("there are answers")
    };
    let (plain, hedged) = (slow(json!(null)), slow(json!({"after": {"ms": 60}, "budget_thousandths": 200})));
    assert!(hedged * 2.0 < plain, "{hedged} {plain}");
}
