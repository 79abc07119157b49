//! What is written down while it happens.

use std::collections::BTreeMap;

use fairlead_balance::health::Change;
use fairlead_balance::{Failure, NoBackend, State};

use crate::clock::{Nanos, seconds};
use crate::histogram::Histogram;
use crate::report::{BackendReport, Happened, Latency, Report, Series};
use crate::world::World;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    Named(&'static str),
    /// An answer that is an error.
    Status(u16),
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::ConnectRefused => Self::Named("refused"),
            Failure::ConnectTimedOut => Self::Named("connect timeout"),
            Failure::Reset | Failure::Invalid => Self::Named("reset"),
            Failure::TimedOut => Self::Named("response timeout"),
            Failure::Answered(status) => Self::Status(status),
            Failure::NoBackend(NoBackend::AllFull) => Self::Named("all full"),
            Failure::NoBackend(_) => Self::Named("no backend"),
        }
    }
}

/// A point of the series that isn't full yet.
#[derive(Debug, Default)]
struct Bucket {
    requests: u64,
    answered: u64,
    failed: u64,
    retries: u64,
    latency: Histogram,
    backends: Vec<u32>,
}

/// Everything that was counted.
#[derive(Debug)]
pub(crate) struct Record {
    requests: u64,
    answered: u64,
    retries: u64,
    failures: BTreeMap<Cause, u64>,
    latency: Histogram,
    bucket: Bucket,
    series: Series,
    events: Vec<Happened>,
    events_dropped: u64,
}

/// A flapping pool can't fill the memory.
const MOST_EVENTS: usize = 10_000;

impl Record {
    pub(crate) fn new(bucket_ms: u64, backends: usize) -> Self {
        let bucket = Bucket { backends: vec![0; backends], ..Bucket::default() };
        let series = Series { bucket_ms, backends: vec![Vec::new(); backends], ..Series::default() };
        Self {
            requests: 0,
            answered: 0,
            retries: 0,
            failures: BTreeMap::new(),
            latency: Histogram::default(),
            bucket,
            series,
            events: Vec::new(),
            events_dropped: 0,
        }
    }

    /// A request has come; to which of the workers.
    pub(crate) fn came(&mut self, workers: u16) -> usize {
        let worker = self.requests % u64::from(workers);
        self.requests += 1;
        self.bucket.requests += 1;
        worker as usize
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    pub(crate) fn part_of(&self, most: u64) -> f64 {
        float(self.requests) / float(most.max(1))
    }

    pub(crate) fn tried(&mut self, server: u32, further: bool) {
        self.retries += u64::from(further);
        self.bucket.retries += u64::from(further);
        self.bucket.backends[server as usize] += 1;
    }

    pub(crate) fn answered(&mut self, latency: Nanos) {
        self.answered += 1;
        self.bucket.answered += 1;
        self.latency.add(latency);
        self.bucket.latency.add(latency);
    }

    pub(crate) fn failed(&mut self, cause: Cause) {
        *self.failures.entry(cause).or_default() += 1;
        self.bucket.failed += 1;
    }

    pub(crate) fn happened(&mut self, at: Nanos, change: Change) {
        let turn = (name(change.from), name(change.to));
        self.tell(at, change.backend.into(), turn, change.reason.into());
    }

    fn tell(&mut self, at: Nanos, backend: String, (from, to): (&'static str, &'static str), reason: String) {
        if self.events.len() == MOST_EVENTS {
            self.events_dropped += 1;
        } else {
            self.events.push(Happened { at_ms: at / 1_000_000, backend, from, to, reason });
        }
    }

    /// The circuit breaker of a backend has turned.
    pub(crate) fn broke(&mut self, at: Nanos, backend: &str, (from, to): (&'static str, &'static str)) {
        self.tell(at, backend.into(), (from, to), "its circuit breaker".into());
    }

    /// A point of the series is full.
    pub(crate) fn turn(&mut self) {
        let Self { bucket, series, .. } = self;
        series.requests.push(bucket.requests);
        series.answered.push(bucket.answered);
        series.failed.push(bucket.failed);
        series.retries.push(bucket.retries);
        series.p50.push(bucket.latency.quantile(0.5));
        series.p99.push(bucket.latency.quantile(0.99));
        for (line, count) in series.backends.iter_mut().zip(&mut bucket.backends) {
            line.push(std::mem::take(count));
        }
        (bucket.requests, bucket.answered, bucket.failed, bucket.retries) = (0, 0, 0, 0);
        bucket.latency.clear();
    }

    fn is_turned(&self) -> bool {
        self.bucket.requests + self.bucket.answered + self.bucket.failed == 0
    }
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

impl World<'_> {
    /// Everything that came of it.
    pub(crate) fn sum_up(mut self) -> Report {
        if !self.record.is_turned() {
            self.record.turn();
        }
        let backends = self.backends();
        let record = self.record;
        let latency = Latency {
            mean_ms: record.latency.mean(),
            p50_ms: record.latency.quantile(0.5),
            p90_ms: record.latency.quantile(0.9),
            p99_ms: record.latency.quantile(0.99),
            p999_ms: record.latency.quantile(0.999),
            max_ms: record.latency.most(),
        };
        let word = |cause| match cause {
            Cause::Named(name) => name.to_owned(),
            Cause::Status(status) => format!("status {status}"),
        };
        Report {
            requests: record.requests,
            answered: record.answered,
            failed: record.failures.values().sum(),
            failures: record.failures.into_iter().map(|(cause, count)| (word(cause), count)).collect(),
            retries: record.retries,
            seconds: seconds(self.clock.now()),
            latency,
            backends,
            series: record.series,
            events: record.events,
            events_dropped: record.events_dropped,
        }
    }

    fn backends(&mut self) -> Vec<BackendReport> {
        let now = self.clock.now();
        let tries: u64 = self.servers.iter().map(|server| server.figures.tries).sum();
        let report = |(server, backend): (u32, &fairlead_plan::spec::Backend)| {
            let own = self.servers.of_mut(server);
            BackendReport {
                id: backend.id.clone(),
                requests: own.figures.tries,
                share: float(own.figures.tries) / float(tries.max(1)),
                errors: own.figures.errors,
                busy: own.busy_share(now),
                max_in_flight: own.figures.most_in_flight,
                wasted: own.figures.wasted,
            }
        };
        (0..).zip(self.subject.backends).map(report).collect()
    }
}

fn name(state: State) -> &'static str {
    match state {
        State::Up => "up",
        State::Degraded => "degraded",
        State::Ejected => "ejected",
        State::Down => "down",
        State::Unproven => "unproven",
        State::Draining => "draining",
        State::Disabled => "disabled",
    }
}
