//! Checks of many backends: spread over time, and cheap.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::*;

/// When each check came, of all backends on 127.0.0.0/8 at the port that is returned.
fn checked() -> (u16, Arc<Mutex<Vec<Instant>>>) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    std::thread::spawn(move || {
        let mut asked = [0; 1024];
        for mut client in listener.incoming().flatten() {
            if client.read(&mut asked).is_ok_and(|length| length > 0) {
                seen.lock().unwrap().push(Instant::now());
                let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        }
    });
    (port, times)
}

fn described(backends: u16, port: u16, interval_ms: u64) -> Value {
    let backends: Vec<Value> = (0..backends)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            backend(&number.to_string(), SocketAddr::from((Ipv4Addr::new(127, 1, high, low), port)))
        })
        .collect();
    let mut pool = pool("app", &backends);
    pool["health_check"] = json!({
        "interval_ms": interval_ms, "fast_interval_ms": interval_ms, "timeout_ms": 5_000, "healthy_threshold": 2,
        "unhealthy_threshold": 3, "initially_up": false, "port": null,
        "probe": {"http": {
            "method": "GET", "path": "/health", "host": null, "headers": [], "expect_statuses": [[200, 200]],
            "expect_body": {"text": "ok"}, "expect_headers": [],
        }},
    });
    spec(1, &[listener("web", &[bind(":0")])], &[pool])
}

fn passed(stats: &Value) -> u64 {
    let backends = stats["pools"][0]["backends"].as_array().unwrap();
    backends.iter().map(|backend| backend["checks"]["passed"].as_u64().unwrap_or(0)).sum()
}

/// Processor time of the thread that checks and judges.
fn spent() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let task = tasks.map(|task| task.path()).find(|task| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "fairlead-health")
    });
    let spent = fs::read_to_string(task.unwrap().join("schedstat")).unwrap();
    Duration::from_nanos(spent.split(' ').next().unwrap().parse().unwrap())
}

/// How many came in each tenth of a second since `begun`.
fn tenths(times: &[Instant], begun: Instant, seconds: u32) -> Vec<u32> {
    let mut counts = vec![0; seconds as usize * 10];
    for time in times.iter().filter_map(|time| time.checked_duration_since(begun)) {
        if let Some(count) = counts.get_mut(time.as_millis() as usize / 100) {
            *count += 1;
        }
    }
    counts
}

#[test]
fn checks_that_begin_together_are_spread_over_their_interval() {
    let (port, times) = checked();
    let engine = engine();
    apply(&engine, described(400, port, 1_000));
    until("all have a result", || passed(&stats(&engine)) >= 400);
    let begun = Instant::now();
    until("three intervals more", || passed(&stats(&engine)) >= 1_600);
    let counts = tenths(&times.lock().unwrap(), begun, 3);
    // 40 on average. A loaded machine makes some late, but a burst would be of hundreds.
    let most = counts.iter().max().unwrap();
    assert!(*most < 200, "{counts:?}");
}

#[test]
#[ignore = "measures for half a minute: cargo test --release -p fairlead-engine --test checks -- --ignored --nocapture"]
fn ten_thousand_checks_each_ten_seconds_take_a_tenth_of_a_core() {
    const SECONDS: u32 = 20;
    let (port, times) = checked();
    let engine = engine();
    let started = Instant::now();
    apply(&engine, described(10_000, port, 10_000));
    let all = Instant::now() + Duration::from_secs(60);
    while passed(&stats(&engine)) < 10_000 {
        assert!(Instant::now() < all, "the first results of all take a minute");
        std::thread::sleep(Duration::from_millis(200));
    }
    let first = (started.elapsed(), spent());
    let (begun, before) = (Instant::now(), spent());
    std::thread::sleep(Duration::from_secs(SECONDS.into()));
    let part = (spent() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let counts = tenths(&times.lock().unwrap(), begun, SECONDS);
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    let made: u32 = counts.iter().sum();
    println!("all first results after {:.1?}, {:.1?} of processor time", first.0, first.1);
    println!(
        "{made} checks in {SECONDS} s, {least} to {most} in a tenth of a second, {:.1} % of a core",
        part * 1e2
    );
    assert!(part <= 0.1, "{part}");
    assert!((19_000..21_000).contains(&made) && *most < 200, "{counts:?}");
}
