//! What goes on, as one value: for the control process, for `status` and `top`.
#![allow(missing_docs, reason = "a field is named as it is read in the JSON")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use fairlead_balance::{BreakerState, HedgeCounts, QueueCounts, Standing, State};
use fairlead_plan as plan;
use fairlead_plan::Membership;
use fairlead_plan::spec::{BackendAddress, Protocol};
use serde::Serialize;

use super::counters::{BackendCounters, CodeCounts, Dropped, Ended, ListenerCounters};
use super::histogram::{Distribution, Histogram};
use super::registry::Series;
use super::timestamp::unix_millis;
use crate::clock;
use crate::engine::{self, Mode, ServedListener, Shared};
use crate::tls::explained;
use crate::unix;

/// What goes on. Counts are since the engine's start.
#[derive(Debug, Clone, Serialize)]
pub struct Stats {
    pub plan_version: Option<u64>,
    /// A Plan is served, the health of its backends is known, and the engine isn't stopping.
    pub ready: bool,
    pub stopping: bool,
    pub started_at_ms: u64,
    pub rss_bytes: u64,
    pub cpu_seconds: f64,
    pub open_files: u64,
    pub max_connections: u32,
    pub plans_alive: usize,
    pub listeners: Vec<ListenerStats>,
    pub pools: Vec<PoolStats>,
    /// Only when asked for: there may be thousands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<RouteStats>>,
    pub totals: Totals,
}

/// What a listener or a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    Serving,
    Up,
    Degraded,
    Ejected,
    Down,
    Unproven,
    Draining,
    Disabled,
}

impl Condition {
    const fn of_check(up: bool) -> Self {
        if up { Self::Up } else { Self::Down }
    }
}

impl From<State> for Condition {
    fn from(state: State) -> Self {
        match state {
            State::Up => Self::Up,
            State::Degraded => Self::Degraded,
            State::Ejected => Self::Ejected,
            State::Down => Self::Down,
            State::Unproven => Self::Unproven,
            State::Draining => Self::Draining,
            State::Disabled => Self::Disabled,
        }
    }
}

/// What an operator said of a backend.
#[derive(Debug, Clone, Serialize)]
pub struct OperatorStats {
    pub mode: Mode,
    /// In place of the configured one.
    pub weight: Option<u32>,
    /// When what is open is cut: milliseconds since 1970.
    pub deadline_ms: Option<u64>,
}

/// One listener.
#[derive(Debug, Clone, Serialize)]
pub struct ListenerStats {
    pub name: String,
    /// `http` or `tcp`.
    pub protocol: &'static str,
    pub state: Condition,
    pub binds: Vec<BindStats>,
    /// When its last connections are cut: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    pub connections: u32,
    pub accepted: u64,
    pub requests: u64,
    /// By class: `2xx`.
    pub codes: BTreeMap<String, u64>,
    /// From a request's first byte to its answer's last.
    pub latency_ms: LatencyStats,
    pub incomplete: u64,
    /// Connections that were refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Sessions that are over, by why; nothing for HTTP.
    pub sessions: BTreeMap<&'static str, u64>,
    /// Bytes of sessions that never came into our memory.
    pub spliced_bytes: u64,
    /// Of one that had any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datagrams: Option<DatagramStats>,
}

/// The datagrams of a listener.
#[derive(Debug, Clone, Serialize)]
pub struct DatagramStats {
    /// From clients.
    pub received: u64,
    /// To clients.
    pub sent: u64,
    /// Those that went no further, by why.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Sessions that went on with another backend.
    pub moved: u64,
}

/// One bind: as written, and the address it came to.
#[derive(Debug, Clone, Serialize)]
pub struct BindStats {
    pub text: String,
    pub bound: String,
}

/// One pool.
#[derive(Debug, Clone, Serialize)]
pub struct PoolStats {
    pub name: String,
    pub generation: u64,
    /// Of what backends are picked by, to compare nodes: hexadecimal, since JSON's numbers don't hold 64 bits.
    pub digest: String,
    /// Those that came while all were full, if they may wait.
    pub queue: Option<QueueStats>,
    /// Second tries, if requests may have them.
    pub hedges: Option<HedgeStats>,
    pub backends: Vec<BackendStats>,
    /// Of what it remembers of its clients, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<AffinityStats>,
}

/// What a pool remembers of its clients.
#[derive(Debug, Clone, Serialize)]
pub struct AffinityStats {
    /// Entries, those among them whose time is over and whose place nobody needed yet.
    pub entries: u32,
    pub capacity: u64,
    /// Entries that gave way to others before their time was over.
    pub evicted: u64,
    /// Changes that other nodes were not told of, because there were too many.
    pub untold: u64,
    /// Whether the store is there in which nodes share this; nothing where they don't.
    pub store_connected: Option<bool>,
}

/// Requests that came to a full pool.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct QueueStats {
    pub waiting: u32,
    pub served: u64,
    pub timed_out: u64,
    pub refused: u64,
}

/// Second tries beside first ones.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct HedgeStats {
    pub sent: u64,
    /// Theirs was the first answer.
    pub won: u64,
}

/// One backend.
#[derive(Debug, Clone, Serialize)]
pub struct BackendStats {
    pub id: String,
    pub address: String,
    pub weight: u32,
    pub state: Condition,
    /// Of its weight, from 0 to 1.
    pub share: f64,
    /// Why it is what it is; nothing is said of one that left.
    pub reason: Option<Cow<'static, str>>,
    /// `up` or `down`: what its check says; nothing before its first result and without a check.
    pub check: Option<Condition>,
    /// Its circuit breaker.
    pub breaker: &'static str,
    /// What came of its checks; nothing without one.
    pub checks: Option<CheckStats>,
    /// Since when: milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// When what is open is cut: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorStats>,
    pub in_flight: u32,
    /// The most of them now.
    pub max_in_flight: Option<u32>,
    pub idle: u32,
    pub requests: u64,
    pub codes: BTreeMap<String, u64>,
    pub connects: u64,
    pub connect_failures: u64,
    pub resets: u64,
    pub timeouts: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    /// Sessions it had, by why they ended.
    pub sessions: BTreeMap<&'static str, u64>,
    /// To the head of an answer; of sessions, until they were connected.
    pub latency_ms: LatencyStats,
}

/// What came of the checks of a backend.
#[derive(Debug, Clone, Serialize)]
pub struct CheckStats {
    pub passed: u64,
    pub failed: u64,
    pub last: Option<LastCheck>,
}

/// The last check of a backend.
#[derive(Debug, Clone, Serialize)]
pub struct LastCheck {
    pub good: bool,
    /// What was found, in words.
    pub reason: String,
    pub at_ms: u64,
    pub duration_ms: f64,
}

/// From a request's last byte to its answer's head.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LatencyStats {
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    /// How many there were, and their sum: the mean of any stretch of time is what it added.
    pub count: u64,
    pub sum: f64,
}

/// One route.
#[derive(Debug, Clone, Serialize)]
pub struct RouteStats {
    pub listener: String,
    pub id: String,
    pub pool: String,
    pub requests: u64,
    pub codes: BTreeMap<String, u64>,
}

/// Over everything.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Totals {
    pub requests: u64,
    pub codes: BTreeMap<String, u64>,
    pub connections: u32,
    pub access_log_dropped: u64,
    pub events_dropped: u64,
    pub members_ignored: u64,
    pub settings_ignored: u64,
    pub panics: u64,
}

/// Adds up what all workers know now.
pub(crate) fn collect(shared: &Shared, routes: bool) -> Stats {
    let usage = unix::usage();
    let state = shared.state();
    let ready = state.is_serving() && shared.wards().is_known(clock::now());
    Stats {
        plan_version: state.plan.as_ref().map(|plan| plan.version),
        ready,
        stopping: state.stopping,
        started_at_ms: unix_millis(shared.started),
        rss_bytes: usage.rss_bytes,
        cpu_seconds: usage.cpu_seconds,
        open_files: usage.open_files,
        max_connections: shared.process.max(),
        plans_alive: shared.census.alive(),
        listeners: listeners(shared, &state),
        pools: pools(shared, &state),
        routes: routes.then(|| route_stats(shared, state.plan.as_deref())),
        totals: totals(shared),
    }
}

fn listeners(shared: &Shared, state: &engine::State) -> Vec<ListenerStats> {
    let serving = state.listeners.iter().map(|served| listener(shared, served, Condition::Serving));
    let draining = state.draining.listeners.iter().map(|leaving| ListenerStats {
        deadline_ms: Some(millis_after(leaving.until)),
        ..listener(shared, &leaving.served, Condition::Draining)
    });
    serving.chain(draining).collect()
}

fn listener(shared: &Shared, served: &ServedListener, state: Condition) -> ListenerStats {
    let series = shared.registry.listener(&served.live.name);
    let codes = codes(&series, |counters| &counters.codes);
    ListenerStats {
        name: served.live.name.to_string(),
        protocol: match served.protocol {
            Protocol::Http => "http",
            Protocol::Tcp { .. } => "tcp",
            Protocol::Udp(_) => "udp",
        },
        state,
        binds: (served.binds.iter())
            .map(|(text, bound)| BindStats { text: text.clone(), bound: bound.clone() })
            .collect(),
        deadline_ms: None,
        connections: served.live.connections(),
        accepted: sum(&series, |counters| counters.accepted.value()),
        requests: codes.total(),
        codes: codes.by_class(),
        latency_ms: latency(series.iter().map(|counters| Some(&counters.duration))),
        incomplete: sum(&series, |counters| counters.incomplete.value()),
        refused: refusals(&series),
        sessions: occurred(sessions(&series)),
        spliced_bytes: spliced(&series),
        datagrams: datagrams(&series).map(|mut datagrams| {
            datagrams.dropped.retain(|_, count| *count > 0);
            datagrams
        }),
    }
}

/// The datagrams of a listener that had any.
pub(super) fn datagrams(series: &Series<ListenerCounters>) -> Option<DatagramStats> {
    let had = || series.iter().filter_map(ListenerCounters::had_datagrams);
    had().next()?;
    let dropped = |why: Dropped| had().map(|datagrams| datagrams.dropped(why)).sum();
    Some(DatagramStats {
        received: had().map(|datagrams| datagrams.received.value()).sum(),
        sent: had().map(|datagrams| datagrams.sent.value()).sum(),
        dropped: Dropped::ALL.map(|why| (why.name(), dropped(why))).into(),
        moved: had().map(|datagrams| datagrams.moved.value()).sum(),
    })
}

/// Sessions that are over, by why.
pub(super) fn sessions(series: &Series<ListenerCounters>) -> BTreeMap<&'static str, u64> {
    let had = || series.iter().filter_map(ListenerCounters::had_sessions);
    let of = |ended: Ended| had().map(|sessions| sessions.ended.value(ended)).sum();
    Ended::ALL.map(|ended| (ended.name(), of(ended))).into()
}

/// Those of a backend; nothing of one that never had any.
pub(super) fn backend_sessions(series: &Series<BackendCounters>) -> BTreeMap<&'static str, u64> {
    let had: Vec<_> = series.iter().filter_map(BackendCounters::had_sessions).collect();
    let of = |ended: Ended| had.iter().map(|ends| ends.value(ended)).sum();
    let ways: &[Ended] = if had.is_empty() { &[] } else { &Ended::WITH_A_BACKEND };
    ways.iter().map(|&ended| (ended.name(), of(ended))).collect()
}

fn occurred(counts: BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Bytes of sessions that the kernel moved.
pub(super) fn spliced(series: &Series<ListenerCounters>) -> u64 {
    series.iter().filter_map(ListenerCounters::had_sessions).map(|sessions| sessions.spliced.value()).sum()
}

/// Connections that were refused, by reason.
pub(super) fn refusals(series: &Series<ListenerCounters>) -> BTreeMap<&'static str, u64> {
    [
        ("client_limit", sum(series, |counters| counters.refused_per_client.value())),
        ("clients", sum(series, |counters| counters.refused_clients.value())),
        ("memory", sum(series, |counters| counters.refused_memory.value())),
        ("descriptors", sum(series, |counters| counters.refused_descriptors.value())),
        ("proxy", sum(series, |counters| counters.refused_proxy.value())),
    ]
    .into()
}

fn pools(shared: &Shared, state: &engine::State) -> Vec<PoolStats> {
    let wards = shared.wards();
    let mut pools: Vec<PoolStats> = (state.plan.iter().flat_map(|plan| &plan.pools))
        .filter_map(|pool| {
            let members = state.members.get(&pool.name)?;
            let Membership { generation, picker, backends, .. } = &*members.shared;
            let served = backends.iter().zip(&members.counters).enumerate();
            let ward = wards.ward(&pool.name);
            let judged = |place, plan: &plan::Backend, counters| BackendStats {
                reason: (ward.and_then(|ward| ward.judged(&plan.id)))
                    .map(|judged| explained(judged.reason.clone(), state.client_tls.get(&pool.name), plan)),
                since_ms: (ward.and_then(|ward| ward.judged(&plan.id)))
                    .map(|judged| millis_before(judged.since)),
                check: ward.and_then(|ward| ward.is_checked_up(&plan.id)).map(Condition::of_check),
                checks: checks(shared, pool, plan),
                share: f64::from(plan.live.standing().share()) / f64::from(Standing::WHOLE),
                max_in_flight: picker.limit(place),
                ..backend(plan, counters, plan.live.standing().state().into())
            };
            Some(PoolStats {
                name: pool.name.to_string(),
                generation: *generation,
                digest: format!("{:016x}", picker.digest()),
                queue: queue(pool),
                hedges: pool.live.hedges().map(|HedgeCounts { sent, won }| HedgeStats { sent, won }),
                backends: served
                    .map(|(place, (plan, counters))| {
                        let operator = operator(state, &pool.name, &plan.id);
                        let deadline_ms = operator.as_ref().and_then(|said| said.deadline_ms);
                        BackendStats { deadline_ms, operator, ..judged(place, plan, counters) }
                    })
                    .collect(),
                affinity: affinity(shared, pool),
            })
        })
        .collect();
    for leaving in &state.draining.backends {
        let last = BackendStats {
            deadline_ms: Some(millis_after(leaving.until)),
            ..backend(&leaving.backend, &leaving.counters, Condition::Draining)
        };
        if let Some(pool) = pools.iter_mut().find(|pool| *pool.name == *leaving.pool) {
            pool.backends.push(last);
        } else {
            pools.push(PoolStats {
                name: leaving.pool.to_string(),
                generation: 0,
                digest: String::new(),
                queue: None,
                hedges: None,
                backends: vec![last],
                affinity: None,
            });
        }
    }
    pools
}

/// Of a pool that has one.
pub(super) fn queue(pool: &plan::Pool) -> Option<QueueStats> {
    pool.queue.as_ref()?;
    let QueueCounts { served, timed_out, refused } = pool.live.queue().counts();
    Some(QueueStats { waiting: pool.live.queue().waiting(), served, timed_out, refused })
}

pub(super) fn affinity(shared: &Shared, pool: &plan::Pool) -> Option<AffinityStats> {
    let book = pool.affinity.as_ref()?.book()?;
    let table = book.memory.table();
    Some(AffinityStats {
        entries: table.used(),
        capacity: table.capacity() as u64,
        evicted: table.evicted(),
        untold: book.memory.dropped(),
        store_connected: book.shared.then(|| shared.affinity_store.is_connected().unwrap_or(false)),
    })
}

fn backend(plan: &plan::Backend, series: &Arc<Series<BackendCounters>>, state: Condition) -> BackendStats {
    BackendStats {
        id: plan.id.to_string(),
        address: address(&plan.address),
        weight: plan.weight,
        state,
        share: 0.0,
        reason: None,
        check: None,
        breaker: match plan.live.standing().breaker() {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        },
        checks: None,
        since_ms: None,
        deadline_ms: None,
        operator: None,
        in_flight: plan.live.in_flight(),
        max_in_flight: None,
        idle: plan.live.idle(),
        requests: sum(series, |counters| counters.requests.value()),
        codes: codes(series, |counters| &counters.codes).by_class(),
        connects: sum(series, |counters| counters.connects.value()),
        connect_failures: sum(series, |counters| counters.connect_failures.value()),
        resets: sum(series, |counters| counters.resets.value()),
        timeouts: sum(series, |counters| counters.timeouts.value()),
        bytes_in: sum(series, |counters| counters.bytes_in.value()),
        bytes_out: sum(series, |counters| counters.bytes_out.value()),
        datagrams_in: sum(series, |counters| counters.datagrams_in.value()),
        datagrams_out: sum(series, |counters| counters.datagrams_out.value()),
        sessions: occurred(backend_sessions(series)),
        latency_ms: latency(series.iter().map(BackendCounters::latencies)),
    }
}

fn checks(shared: &Shared, pool: &plan::Pool, backend: &plan::Backend) -> Option<CheckStats> {
    pool.check.as_ref()?;
    let record = shared.checks.of(&(Arc::clone(&pool.name), Arc::clone(&backend.id)))?;
    let last = record.last.map(|(finding, at)| LastCheck {
        good: finding.good,
        reason: finding.reason.into_owned(),
        at_ms: unix_millis(at),
        duration_ms: finding.took.as_secs_f64() * 1e3,
    });
    Some(CheckStats { passed: record.passed, failed: record.failed, last })
}

/// When that was, for people.
fn millis_before(at: Instant) -> u64 {
    unix_millis(clock::wall().checked_sub(clock::now().saturating_duration_since(at)).unwrap_or(UNIX_EPOCH))
}

/// When that will be, for people.
fn millis_after(at: Instant) -> u64 {
    unix_millis(clock::wall() + at.saturating_duration_since(clock::now()))
}

fn operator(state: &engine::State, pool: &str, backend: &str) -> Option<OperatorStats> {
    let held = state.operators.get(pool, backend)?;
    Some(OperatorStats { mode: held.mode, weight: held.weight, deadline_ms: held.deadline_ms() })
}

fn latency<'a>(of: impl Iterator<Item = Option<&'a Histogram>>) -> LatencyStats {
    let mut all: Option<Distribution> = None;
    for histogram in of.flatten() {
        histogram.add_to(all.get_or_insert_default());
    }
    let millis = |quantile| Some(all.as_ref()?.quantile(quantile)?.as_secs_f64() * 1e3);
    LatencyStats {
        p50: millis(0.5),
        p99: millis(0.99),
        count: all.as_ref().map_or(0, Distribution::count),
        sum: all.as_ref().map_or(0.0, |all| all.sum_seconds() * 1e3),
    }
}

pub(super) fn address(address: &BackendAddress) -> String {
    match address {
        BackendAddress::Ip(address) => address.to_string(),
        BackendAddress::Unix(path) => format!("unix:{path}"),
    }
}

fn route_stats(shared: &Shared, plan: Option<&plan::Plan>) -> Vec<RouteStats> {
    let Some(plan) = plan else { return Vec::new() };
    let routes =
        plan.listeners.iter().flat_map(|listener| listener.routes.iter().map(move |r| (listener, r)));
    routes
        .map(|(listener, route)| {
            let series = shared.registry.route(&listener.name, &route.id);
            let codes = codes(&series, |counters| &counters.codes);
            RouteStats {
                listener: listener.name.to_string(),
                id: route.id.to_string(),
                pool: plan.pools[route.pool].name.to_string(),
                requests: codes.total(),
                codes: codes.by_class(),
            }
        })
        .collect()
}

fn totals(shared: &Shared) -> Totals {
    let mut all = CodeCounts::default();
    for (_, series) in shared.registry.listeners() {
        series.iter().for_each(|counters| counters.codes.add_to(&mut all));
    }
    Totals {
        requests: all.total(),
        codes: all.by_class(),
        connections: shared.process.open(),
        access_log_dropped: shared.log.dropped(),
        events_dropped: shared.events.dropped(),
        members_ignored: shared.ignored_members.load(std::sync::atomic::Ordering::Relaxed),
        settings_ignored: shared.ignored_settings.load(std::sync::atomic::Ordering::Relaxed),
        panics: shared.panics.load(std::sync::atomic::Ordering::Relaxed),
    }
}

/// Over all workers.
pub(super) fn sum<T>(series: &Series<T>, value: impl Fn(&T) -> u64) -> u64 {
    series.iter().map(value).sum()
}

/// Over all workers.
pub(super) fn codes<T>(series: &Series<T>, of: impl Fn(&T) -> &super::counters::Codes) -> CodeCounts {
    let mut sum = CodeCounts::default();
    series.iter().for_each(|counters| of(counters).add_to(&mut sum));
    sum
}
