//! The metrics page, in Prometheus' text format (version 0.0.4). Label sets are bounded: by what is configured, and
//! codes by their table.

mod affinity;
mod http2;
mod pools;
mod sessions;
mod tls;

use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::histogram::Distribution;
use super::stats::{backend_sessions, codes, refusals, sum};
use crate::engine::{Shared, State};
use crate::unix;

/// Upper bounds of the duration's buckets in milliseconds: from a cache's answer to a slow report's.
const BOUNDS_MS: [u64; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];

/// The whole page.
pub(crate) fn render(shared: &Shared) -> String {
    let mut page = Page::default();
    process(shared, &mut page);
    listeners(shared, &mut page);
    routes(shared, &mut page);
    backends(shared, &mut page);
    pools::render(shared, &mut page);
    checks(shared, &mut page);
    affinity::render(shared, &mut page);
    tls::certificates(shared, &mut page);
    page.0
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n").expect("a String takes everything");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push_str(if index == 0 { "{" } else { "," });
            self.0.push_str(label);
            self.0.push_str("=\"");
            for character in text.to_string().chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        self.0.push_str(if labels.is_empty() { " " } else { "} " });
        writeln!(self.0, "{value}").expect("a String takes everything");
    }

    /// A family with one sample.
    fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn process(shared: &Shared, page: &mut Page) {
    use Kind::{Counter, Gauge};
    let usage = unix::usage();
    let version = shared.state().plan.as_ref().map_or(0, |plan| plan.version);
    page.single(
        "fairlead_plan_version",
        Gauge,
        "Version of the configuration that is served; 0: none yet.",
        version,
    );
    page.single(
        "fairlead_plans_alive",
        Gauge,
        "Configurations that something still refers to.",
        shared.census.alive(),
    );
    page.single("fairlead_workers", Gauge, "Threads that serve.", shared.workers);
    let help = "Processor time of the engine process.";
    page.single("fairlead_process_cpu_seconds_total", Counter, help, usage.cpu_seconds);
    page.single(
        "fairlead_process_resident_bytes",
        Gauge,
        "Resident memory of the engine process.",
        usage.rss_bytes,
    );
    page.single(
        "fairlead_process_open_files",
        Gauge,
        "File descriptors of the engine process.",
        usage.open_files,
    );
    let help = "Client connections that the descriptors allow.";
    page.single("fairlead_max_connections", Gauge, help, shared.process.max());
    let help = "Connections that were closed because their task panicked.";
    page.single("fairlead_panics_total", Counter, help, shared.panics.load(Relaxed));
    let help = "Access log lines that were not written.";
    page.single("fairlead_access_log_dropped_total", Counter, help, shared.log.dropped());
    page.single(
        "fairlead_events_dropped_total",
        Counter,
        "Events that nobody read.",
        shared.events.dropped(),
    );
}

fn listeners(shared: &Shared, page: &mut Page) {
    use Kind::{Counter, Gauge, Histogram};
    page.family("fairlead_connections", Gauge, "Open client connections.");
    {
        let state = shared.state();
        let leaving = state.draining.listeners.iter().map(|leaving| &leaving.served);
        for served in state.listeners.iter().chain(leaving) {
            page.sample(
                "fairlead_connections",
                &[("listener", &served.live.name)],
                served.live.connections(),
            );
        }
    }
    let all = sorted(shared.registry.listeners());
    page.family("fairlead_connections_accepted_total", Counter, "Accepted client connections.");
    for (name, series) in &all {
        let accepted = sum(series, |counters| counters.accepted.value());
        page.sample("fairlead_connections_accepted_total", &[("listener", name)], accepted);
    }
    page.family("fairlead_connections_refused_total", Counter, "Client connections that were refused.");
    for (name, series) in &all {
        for (reason, count) in refusals(series) {
            let labels: [(&str, &dyn Display); 2] = [("listener", name), ("reason", &reason)];
            page.sample("fairlead_connections_refused_total", &labels, count);
        }
    }
    page.family("fairlead_incomplete_answers_total", Counter, "Answers that were begun and cut.");
    for (name, series) in &all {
        let incomplete = sum(series, |counters| counters.incomplete.value());
        page.sample("fairlead_incomplete_answers_total", &[("listener", name)], incomplete);
    }
    page.family(
        "fairlead_client_bytes_total",
        Counter,
        "Bytes of bodies and sessions received from and sent to clients.",
    );
    for (name, series) in &all {
        let received = sum(series, |counters| counters.bytes_in.value());
        let sent = sum(series, |counters| counters.bytes_out.value());
        for (direction, bytes) in [("received", received), ("sent", sent)] {
            let labels: [(&str, &dyn Display); 2] = [("listener", name), ("direction", &direction)];
            page.sample("fairlead_client_bytes_total", &labels, bytes);
        }
    }
    let help = "From a request's first byte to its answer's last; a session as a whole.";
    page.family("fairlead_request_duration_seconds", Histogram, help);
    for (name, series) in &all {
        let mut distribution = Distribution::default();
        series.iter().for_each(|counters| counters.duration.add_to(&mut distribution));
        histogram(page, "fairlead_request_duration_seconds", name, &distribution);
    }
    http2::render(&all, page);
    sessions::render(&all, page);
    tls::listeners(&all, page);
}

fn histogram(page: &mut Page, name: &str, listener: &str, distribution: &Distribution) {
    let bucket = format!("{name}_bucket");
    for bound in BOUNDS_MS {
        let below = distribution.below(Duration::from_millis(bound));
        let le = Duration::from_millis(bound).as_secs_f64();
        page.sample(&bucket, &[("listener", &listener), ("le", &le)], below);
    }
    page.sample(&bucket, &[("listener", &listener), ("le", &"+Inf")], distribution.count());
    page.sample(&format!("{name}_sum"), &[("listener", &listener)], distribution.sum_seconds());
    page.sample(&format!("{name}_count"), &[("listener", &listener)], distribution.count());
}

fn routes(shared: &Shared, page: &mut Page) {
    let name = "fairlead_requests_total";
    page.family(name, Kind::Counter, "Answered requests. An empty route: none matched.");
    for ((listener, route), series) in sorted(shared.registry.routes()) {
        for (code, count) in codes(&series, |counters| &counters.codes).iter() {
            page.sample(name, &[("listener", &listener), ("route", &route), ("code", &code)], count);
        }
    }
    for (listener, series) in sorted(shared.registry.listeners()) {
        for (code, count) in codes(&series, |counters| &counters.unrouted).iter() {
            page.sample(name, &[("listener", &listener), ("route", &""), ("code", &code)], count);
        }
    }
}

fn backends(shared: &Shared, page: &mut Page) {
    use Kind::Counter;
    let all = sorted(shared.registry.backends());
    page.family("fairlead_backend_requests_total", Counter, "Answers of backends.");
    for ((pool, backend), series) in &all {
        for (code, count) in codes(series, |counters| &counters.codes).iter() {
            let labels: [(&str, &dyn Display); 3] = [("pool", pool), ("backend", backend), ("code", &code)];
            page.sample("fairlead_backend_requests_total", &labels, count);
        }
    }
    let help = "Requests to backends that failed: no connection, reset, no answer in time.";
    page.family("fairlead_backend_failures_total", Counter, help);
    for ((pool, backend), series) in &all {
        let failures = [
            ("connect", sum(series, |counters| counters.connect_failures.value())),
            ("reset", sum(series, |counters| counters.resets.value())),
            ("timeout", sum(series, |counters| counters.timeouts.value())),
        ];
        for (kind, count) in failures {
            let labels: [(&str, &dyn Display); 3] = [("pool", pool), ("backend", backend), ("kind", &kind)];
            page.sample("fairlead_backend_failures_total", &labels, count);
        }
    }
    page.family("fairlead_backend_connections_total", Counter, "Connections made to backends.");
    for ((pool, backend), series) in &all {
        let labels: [(&str, &dyn Display); 2] = [("pool", pool), ("backend", backend)];
        let made = sum(series, |counters| counters.connects.value());
        page.sample("fairlead_backend_connections_total", &labels, made);
    }
    page.family("fairlead_backend_bytes_total", Counter, "Bytes received from and sent to backends.");
    for ((pool, backend), series) in &all {
        let received = sum(series, |counters| counters.bytes_in.value());
        let sent = sum(series, |counters| counters.bytes_out.value());
        for (direction, bytes) in [("received", received), ("sent", sent)] {
            let labels: [(&str, &dyn Display); 3] =
                [("pool", pool), ("backend", backend), ("direction", &direction)];
            page.sample("fairlead_backend_bytes_total", &labels, bytes);
        }
    }
    let help = "Sessions of a backend that are over, by why they ended.";
    page.family("fairlead_backend_sessions_total", Counter, help);
    for ((pool, backend), series) in &all {
        for (ended, count) in backend_sessions(series) {
            let labels: [(&str, &dyn Display); 3] = [("pool", pool), ("backend", backend), ("ended", &ended)];
            page.sample("fairlead_backend_sessions_total", &labels, count);
        }
    }
    tls::backends(&all, page);
    sessions::backends(&all, page);
    let state = shared.state();
    let help = "Requests, tunnels and sessions that a backend has now.";
    backend_gauge(page, &state, "fairlead_active_connections", help, |backend, _| backend.live.in_flight());
    let help = "Idle connections kept to a backend.";
    backend_gauge(page, &state, "fairlead_idle_connections", help, |backend, _| backend.live.idle());
    let help = "Whether a backend takes new requests.";
    backend_gauge(page, &state, "fairlead_backend_up", help, |backend, served| {
        u32::from(served && backend.live.standing().is_open())
    });
}

fn checks(shared: &Shared, page: &mut Page) {
    let name = "fairlead_health_checks_total";
    page.family(name, Kind::Counter, "Checks of backends; unmade: for want of something of our own.");
    for ((pool, backend), record) in sorted(shared.checks.all()) {
        for (result, count) in
            [("passed", record.passed), ("failed", record.failed), ("unmade", record.unmade)]
        {
            let labels: [(&str, &dyn Display); 3] =
                [("pool", &pool), ("backend", &backend), ("result", &result)];
            page.sample(name, &labels, count);
        }
    }
}

fn backend_gauge(
    page: &mut Page,
    state: &State,
    name: &str,
    help: &str,
    value: impl Fn(&fairlead_plan::Backend, bool) -> u32,
) {
    page.family(name, Kind::Gauge, help);
    for (pool, members) in sorted(state.members.iter().collect()) {
        for backend in &members.shared.backends {
            page.sample(name, &[("pool", pool), ("backend", &backend.id)], value(backend, true));
        }
    }
    for leaving in &state.draining.backends {
        let labels: [(&str, &dyn Display); 2] = [("pool", &leaving.pool), ("backend", &leaving.backend.id)];
        page.sample(name, &labels, value(&leaving.backend, false));
    }
}

/// A page that is the same when nothing changed.
fn sorted<K: Ord, V>(mut entries: Vec<(K, V)>) -> Vec<(K, V)> {
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_leave_their_quotes() {
        let mut page = Page::default();
        page.sample("x", &[("a", &"1\"} 5\n\\"), ("b", &2)], 3);
        assert_eq!(page.0, "x{a=\"1\\\"} 5\\n\\\\\",b=\"2\"} 3\n");
    }

    #[test]
    fn buckets_of_a_histogram_add_up() {
        let histogram_ = Box::<super::super::histogram::Histogram>::default();
        for millis in [1, 3, 3, 700, 90_000] {
            histogram_.record(Duration::from_millis(millis));
        }
        let mut distribution = Distribution::default();
        histogram_.add_to(&mut distribution);
        let mut page = Page::default();
        histogram(&mut page, "d", "web", &distribution);
        assert!(page.0.contains("d_bucket{listener=\"web\",le=\"0.005\"} 3\n"), "{}", page.0);
        assert!(page.0.contains("d_bucket{listener=\"web\",le=\"30\"} 4\n"), "{}", page.0);
        assert!(page.0.contains("d_bucket{listener=\"web\",le=\"+Inf\"} 5\n"), "{}", page.0);
        assert!(page.0.contains("d_count{listener=\"web\"} 5\n"), "{}", page.0);
    }
}
