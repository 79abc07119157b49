//! Checks of many backends: spread over time, and cheap.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::*;

/// When each check came, and where to: of all backends on 127.0.0.0/8 at the port that is returned.
type Seen = Arc<Mutex<Vec<(Instant, IpAddr)>>>;

fn checked() -> (u16, Seen) {
    // All are checked at once at first: more than std's queue of 128 takes.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).unwrap();
    socket.listen(4096).unwrap();
    let listener = TcpListener::from(socket);
    let port = listener.local_addr().unwrap().port();
    let times = Seen::default();
    let seen = Arc::clone(&times);
    std::thread::spawn(move || {
        let mut asked = [0; 1024];
        for mut client in listener.incoming().flatten() {
            if client.read(&mut asked).is_ok_and(|length| length > 0) {
                let address = client.local_addr().unwrap().ip();
                seen.lock().unwrap().push((Instant::now(), address));
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
        "interval_ms": interval_ms, "fast_interval_ms": interval_ms / 10, "timeout_ms": 5_000, "healthy_threshold": 2,
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
fn tenths(seen: &[(Instant, IpAddr)], begun: Instant, seconds: u32) -> Vec<u32> {
    let mut counts = vec![0; seconds as usize * 10];
    for time in seen.iter().filter_map(|(time, _)| time.checked_duration_since(begun)) {
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
fn who_comes_by_a_list_is_checked_at_its_address_and_who_leaves_no_more() {
    let (port, seen) = checked();
    let engine = engine();
    let mut whole = described(1, port, 20);
    whole["pools"][0]["resolved"] = json!(true);
    apply(&engine, whole);
    let list = |generation: u64, address: Ipv4Addr| {
        let backends = [backend(&address.to_string(), SocketAddr::from((address, port)))];
        let members = json!({"pool": "app", "generation": generation, "backends": backends});
        engine.members(serde_json::from_value(members).unwrap()).unwrap();
    };
    let checks = |of: Ipv4Addr| seen.lock().unwrap().iter().filter(|(_, address)| *address == of).count();
    let (first, second) = (Ipv4Addr::new(127, 2, 0, 1), Ipv4Addr::new(127, 2, 0, 2));
    list(1, first);
    until("it is up", || stats(&engine)["pools"][0]["backends"][0]["state"] == "up");
    until("it is checked again and again", || checks(first) >= 3);
    list(2, second);
    let before = checks(first);
    until("the other one is checked again and again", || checks(second) >= 10);
    // One may have been under way.
    assert!(checks(first) <= before + 1);
}

#[test]
#[ignore = "measures for half a minute: cargo test --release -p fairlead-engine --test checks -- --ignored --nocapture"]
fn ten_thousand_checks_each_ten_seconds_take_a_tenth_of_a_core() {
    const SECONDS: u32 = 20;
    let (port, times) = checked();
    let engine = engine();
    let started = Instant::now();
    apply(&engine, described(10_000, port, 10_000));
    let all = Instant::now() + Duration::from_mins(1);
    while passed(&stats(&engine)) < 10_000 {
        assert!(Instant::now() < all, "the first results of all take a minute");
        std::thread::sleep(Duration::from_millis(200));
    }
    let first = (started.elapsed(), spent());
    // Whoever had to wait for its turn at first has found its place after an interval.
    std::thread::sleep(Duration::from_secs(10));
    let (begun, before) = (Instant::now(), spent());
    std::thread::sleep(Duration::from_secs(SECONDS.into()));
    let share = spent().saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let counts = tenths(&times.lock().unwrap(), begun, SECONDS);
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    let made: u32 = counts.iter().sum();
    println!("all first results after {:.1?}, {:.1?} of processor time", first.0, first.1);
    println!(
        "{made} checks in {SECONDS} s, {least} to {most} in a tenth of a second, {:.1} % of a core",
        share * 1e2
    );
    assert!(share <= 0.1, "{share}");
    assert!((19_000..21_000).contains(&made) && *most < 200, "{counts:?}");
}
