//! What a pick costs: CPU time of the picking thread, while another core changes the counters it reads.
//!
//! A line of JSON for each algorithm, number of members and kind of weights: `ns` is the median over batches of
//! 1,000 picks. Beside it one thread begins and ends 200,000 requests a second, spread over all members, so
//! that counters are found in the other core's cache as often as they would be in traffic; `writes` is how many a second
//! it came to, for without them the figure would be another one.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use fairlead_balance::{
    Algorithm, Ask, Average, Cursor, HashTable, LeastTime, Live, Member, Options, Picker, Pool, Random,
    Score, Tried,
};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

const TIME: LeastTime = LeastTime { average: Average::PeakEwma, window: Duration::from_secs(10) };

const fn consistent(table: HashTable, bounded_load: Option<u32>) -> Algorithm {
    Algorithm::ConsistentHash { table, bounded_load }
}

/// Rendezvous is refused above this.
const RENDEZVOUS_MOST: u64 = 1_000;

const ALGORITHMS: [Algorithm; 12] = [
    Algorithm::RoundRobin,
    Algorithm::LeastConnections,
    Algorithm::LeastTime(TIME),
    Algorithm::TWO_CHOICES,
    Algorithm::Random { choices: 2, by: Score::LeastTime(TIME) },
    Algorithm::IpHash { v6_prefix: 64 },
    consistent(HashTable::Ring, None),
    consistent(HashTable::Maglev, None),
    consistent(HashTable::Rendezvous, None),
    consistent(HashTable::Ring, Some(1_250)),
    consistent(HashTable::Maglev, Some(1_250)),
    Algorithm::First,
];
const BATCH: u32 = 1_000;
/// Some 20 ms to a second a figure: longer than whatever else the machine does in between.
const BATCHES: usize = 5_000;
const WRITES_A_SECOND: u32 = 200_000;

fn main() {
    println!(r#"{{"table":"maglev","members":1000,"build_ms":{:.2}}}"#, build_ms(HashTable::Maglev));
    println!(r#"{{"table":"ring","members":1000,"build_ms":{:.2}}}"#, build_ms(HashTable::Ring));
    for algorithm in ALGORITHMS {
        for members in [10, 100, 1_000, 10_000] {
            for (weights, weight) in [("equal", equal as fn(u64) -> u32), ("mixed", mixed)] {
                if algorithm == consistent(HashTable::Rendezvous, None) && members > RENDEZVOUS_MOST {
                    continue;
                }
                let (ns, writes) = measure(&picker(algorithm, members, weight));
                let algorithm = name(algorithm);
                println!(
                    r#"{{"algorithm":"{algorithm}","members":{members},"weights":"{weights}","ns":{ns:.1},"writes":{writes:.0}}}"#
                );
            }
        }
    }
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RoundRobin => "round_robin",
        Algorithm::LeastConnections => "least_connections",
        Algorithm::LeastTime(_) => "least_time",
        Algorithm::Random { by: Score::LeastConnections, .. } => "random",
        Algorithm::Random { by: Score::LeastTime(_), .. } => "random_by_time",
        Algorithm::IpHash { .. } => "ip_hash",
        Algorithm::ConsistentHash { table: HashTable::Ring, bounded_load: None } => "ring",
        Algorithm::ConsistentHash { table: HashTable::Maglev, bounded_load: None } => "maglev",
        Algorithm::ConsistentHash { table: HashTable::Rendezvous, .. } => "rendezvous",
        Algorithm::ConsistentHash { table: HashTable::Ring, .. } => "ring_bounded",
        Algorithm::ConsistentHash { table: HashTable::Maglev, .. } => "maglev_bounded",
        Algorithm::First => "first",
    }
}

fn equal(_: u64) -> u32 {
    1
}

/// 1 to 100, the same in every run.
fn mixed(member: u64) -> u32 {
    1 + (SplitMix(member).next_u64() % 100) as u32
}

fn picker(algorithm: Algorithm, members: u64, weight: fn(u64) -> u32) -> Picker {
    let live = Live::new();
    let member = |index: u64| Member {
        id: index.to_string(),
        hash_name: index.to_string(),
        weight: weight(index),
        max_in_flight: None,
        zone: None,
        backup: false,
        live: live.backend("bench", &index.to_string()),
    };
    Pool::build(algorithm, (0..members).map(member).collect(), &Options::default())
}

/// Milliseconds of CPU to build the table of 1,000 members, the least of ten.
fn build_ms(table: HashTable) -> f64 {
    let members = picker(Algorithm::First, 1_000, equal).members().to_vec();
    let build = |_| {
        let members = members.clone();
        let begun = cpu_time();
        let built = Pool::build(consistent(table, None), members, &Options::default());
        let spent = cpu_time().saturating_sub(begun);
        assert_eq!(built.members().len(), 1_000);
        spent.as_secs_f64() * 1e3
    };
    (0..10).map(build).fold(f64::INFINITY, f64::min)
}

/// Nanoseconds of CPU a pick, the median of the batches, and what the other thread wrote a second meanwhile.
fn measure(picker: &Picker) -> (f64, f64) {
    let stop = AtomicBool::new(false);
    let begun = Barrier::new(2);
    thread::scope(|scope| {
        let beside = scope.spawn(|| {
            pin(1);
            begun.wait();
            write(picker, &stop)
        });
        pin(0);
        begun.wait();
        let mut costs = pick(picker);
        stop.store(true, Relaxed);
        let writes = beside.join().expect("invariant: counting does not panic");
        costs.sort_unstable();
        (costs[costs.len() / 2].as_secs_f64() * 1e9 / f64::from(BATCH), writes)
    })
}

fn pick(picker: &Picker) -> Vec<Duration> {
    let mut cursor = Cursor::new(picker, 0, 2);
    let (mut rng, mut keys) = (SplitMix(1), SplitMix(3));
    let now = now();
    for member in 0..picker.members().len() {
        picker.observe(member, Duration::from_micros(500 + keys.next_u64() % 1_000), now);
    }
    let mut served = Vec::with_capacity(BATCH as usize);
    let batch = |_| {
        let begun = cpu_time();
        for _ in 0..BATCH {
            let ask = Ask { tried: &Tried::new(), key: Some(keys.next_u64()) };
            served.extend(picker.pick(&ask, &mut cursor, &mut rng, now));
        }
        let spent = cpu_time().saturating_sub(begun);
        for member in served.drain(..) {
            picker.members()[member].live.end();
        }
        spent
    };
    (0..BATCHES).map(batch).collect()
}

/// Begins a request with one member and ends an earlier one of another, evenly paced. How often a second it did.
fn write(picker: &Picker, stop: &AtomicBool) -> f64 {
    let members = picker.members();
    let mut rng = SplitMix(2);
    let mut open = std::collections::VecDeque::new();
    let pace = Duration::from_secs(1) / WRITES_A_SECOND;
    let begun = now();
    let (mut due, mut writes) = (begun, 0_u32);
    while !stop.load(Relaxed) {
        if now() < due {
            std::hint::spin_loop();
            continue;
        }
        due += pace;
        writes += 1;
        let member = &members[(rng.next_u64() % members.len() as u64) as usize];
        member.live.begin();
        open.push_back(member);
        if open.len() > 64
            && let Some(earlier) = open.pop_front()
        {
            earlier.live.end();
        }
    }
    let rate = f64::from(writes) / (now() - begun).as_secs_f64();
    for member in open {
        member.live.end();
    }
    rate
}

/// Each thread on a core of its own, where there are two; else the figure still stands, with nobody beside it.
fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    let _ = sched_setaffinity(None, &cores);
}

fn cpu_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), spent.tv_nsec.unsigned_abs() as u32)
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Sebastiano Vigna's splitmix64.
struct SplitMix(u64);

impl Random for SplitMix {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
