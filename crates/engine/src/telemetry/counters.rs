//! Numbers with one writer: each worker owns its own, the service thread adds them up.
//!
//! A counter of one's own is a plain load and a plain store, no locked instruction and no shared cache line;
//! a reader sees a value that is at most one update old.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};

use super::histogram::Histogram;
use crate::tls::{Failed, Kind};

/// A number that only its worker adds to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`; only the owning worker may call it.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The value now, from any thread.
    #[inline]
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Different status codes that are counted by themselves; further ones fall into their class (`4xx`).
///
/// A backend that answers with every number there is must not grow the label set.
const DISTINCT_CODES: usize = 24;

#[derive(Debug, Default)]
struct CodeSlot {
    code: AtomicU16,
    count: Counter,
}

impl CodeSlot {
    /// Whether it counts this code; a free one does from now on.
    #[inline]
    fn takes(&self, code: u16) -> bool {
        match self.code.load(Relaxed) {
            0 => self.code.store(code, Relaxed),
            taken if taken == code => {}
            _ => return false,
        }
        true
    }

    fn add_to(&self, sum: &mut CodeCounts) {
        let code = self.code.load(Relaxed);
        if code != 0 {
            sum.add(Code::Exact(code), self.count.value());
        }
    }
}

#[derive(Debug, Default)]
struct CodeTable {
    slots: [CodeSlot; DISTINCT_CODES - 1],
    /// By first digit, 1 to 5; index 0 takes requests without an answer.
    classes: [Counter; 6],
}

/// Answers by status code. The first that occurs is counted in place, since most of what is counted has one; the table
/// takes memory at the second: ten thousand routes that nobody asks for cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    first: CodeSlot,
    others: OnceLock<Box<CodeTable>>,
}

impl Codes {
    /// Counts one answer; only the owning worker may call it.
    #[inline]
    pub(crate) fn count(&self, code: u16) {
        // 0 is no code but marks a free slot.
        if code != 0 && self.first.takes(code) {
            return self.first.count.add(1);
        }
        let table = self.others.get_or_init(Box::default);
        if let Some(slot) = table.slots.iter().find(|slot| code != 0 && slot.takes(code)) {
            return slot.count.add(1);
        }
        let class = usize::from(code / 100);
        table.classes[if class < table.classes.len() { class } else { 0 }].add(1);
    }

    /// Adds these counts to `sum`.
    pub(crate) fn add_to(&self, sum: &mut CodeCounts) {
        self.first.add_to(sum);
        let Some(table) = self.others.get() else { return };
        for slot in &table.slots {
            slot.add_to(sum);
        }
        for (class, count) in table.classes.iter().enumerate() {
            if count.value() > 0 {
                sum.add(Code::Class(class as u16), count.value());
            }
        }
    }
}

/// What a count of answers is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    Exact(u16),
    /// The first digit of codes that did not fit the table.
    Class(u16),
}

impl Code {
    /// The first digit.
    pub(crate) fn class(self) -> u16 {
        match self {
            Self::Exact(code) => code / 100,
            Self::Class(class) => class,
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(code) => write!(f, "{code}"),
            Self::Class(0) => f.write_str("none"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

/// Sums over workers, in order of the code.
#[derive(Debug, Default)]
pub(crate) struct CodeCounts(std::collections::BTreeMap<Code, u64>);

impl CodeCounts {
    fn add(&mut self, code: Code, count: u64) {
        *self.0.entry(code).or_default() += count;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Code, u64)> {
        self.0.iter().map(|(code, count)| (*code, *count))
    }

    /// By class: `2xx` → count, only those that occur.
    pub(crate) fn by_class(&self) -> std::collections::BTreeMap<String, u64> {
        let mut classes = std::collections::BTreeMap::new();
        for (code, count) in self.iter() {
            *classes.entry(Code::Class(code.class()).to_string()).or_default() += count;
        }
        classes
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// What one worker knows about a route.
#[derive(Debug, Default)]
pub(crate) struct RouteCounters {
    pub(crate) codes: Codes,
}

/// What one worker knows about a backend.
#[derive(Debug, Default)]
pub(crate) struct BackendCounters {
    /// Requests sent to it, tries included.
    pub(crate) requests: Counter,
    pub(crate) codes: Codes,
    /// Connections made to it; requests beyond these found one open.
    pub(crate) connects: Counter,
    pub(crate) connect_failures: Counter,
    /// Connections it ended in the middle of a request or an answer.
    pub(crate) resets: Counter,
    /// Answers that did not come in time.
    pub(crate) timeouts: Counter,
    /// Bytes received from it.
    pub(crate) bytes_in: Counter,
    /// Bytes sent to it.
    pub(crate) bytes_out: Counter,
    /// Datagrams received from it.
    pub(crate) datagrams_in: Counter,
    /// Datagrams sent to it.
    pub(crate) datagrams_out: Counter,
    latency: OnceLock<Box<Histogram>>,
    sessions: OnceLock<Box<Ends>>,
    tls: OnceLock<Box<TlsCounters>>,
}

impl BackendCounters {
    /// Handshakes with it, where there are any.
    pub(crate) fn tls(&self) -> &TlsCounters {
        self.tls.get_or_init(Box::default)
    }

    pub(crate) fn had_tls(&self) -> Option<&TlsCounters> {
        self.tls.get().map(|tls| &**tls)
    }

    /// Notes the time from a request's last byte to its answer's head.
    #[inline]
    pub(crate) fn latency(&self, taken: std::time::Duration) {
        self.latency.get_or_init(Box::default).record(taken);
    }

    pub(crate) fn latencies(&self) -> Option<&Histogram> {
        self.latency.get().map(|histogram| &**histogram)
    }

    /// Counts a session that was with it; only the owning worker may call it.
    pub(crate) fn session(&self, ended: Ended) {
        self.sessions.get_or_init(Box::default).count(ended);
    }

    pub(crate) fn had_sessions(&self) -> Option<&Ends> {
        self.sessions.get().map(|ends| &**ends)
    }
}

/// What one worker knows about a listener.
#[derive(Debug, Default)]
pub(crate) struct ListenerCounters {
    pub(crate) accepted: Counter,
    pub(crate) refused_per_client: Counter,
    pub(crate) refused_clients: Counter,
    pub(crate) refused_memory: Counter,
    pub(crate) refused_descriptors: Counter,
    /// Nobody trusted said in PROXY whose they are.
    pub(crate) refused_proxy: Counter,
    /// Connections that speak HTTP/2, of those that were accepted.
    pub(crate) http2_connections: Counter,
    /// Requests that came by them.
    pub(crate) http2_requests: Counter,
    /// Those that were closed because their client asked for more than requests.
    pub(crate) http2_floods: Counter,
    sessions: OnceLock<Box<SessionCounters>>,
    datagrams: OnceLock<Box<DatagramCounters>>,
    tls: OnceLock<Box<TlsCounters>>,
    /// Every answer, also those without a route.
    pub(crate) codes: Codes,
    /// Answers to requests that no route took.
    pub(crate) unrouted: Codes,
    /// Answers that were begun and cut: their clients can tell.
    pub(crate) incomplete: Counter,
    /// Bytes received from clients.
    pub(crate) bytes_in: Counter,
    /// Bytes sent to clients.
    pub(crate) bytes_out: Counter,
    /// From a request's first byte to its answer's last.
    pub(crate) duration: Histogram,
}

impl ListenerCounters {
    /// Of a listener that serves connections as a whole; takes memory with the first.
    #[inline]
    pub(crate) fn sessions(&self) -> &SessionCounters {
        self.sessions.get_or_init(Box::default)
    }

    /// Of a listener that terminates TLS; takes memory with the first handshake.
    pub(crate) fn tls(&self) -> &TlsCounters {
        self.tls.get_or_init(Box::default)
    }

    /// The same, if there was one.
    pub(crate) fn had_tls(&self) -> Option<&TlsCounters> {
        self.tls.get().map(|tls| &**tls)
    }

    /// The same, if there was one.
    pub(crate) fn had_sessions(&self) -> Option<&SessionCounters> {
        self.sessions.get().map(|sessions| &**sessions)
    }

    /// Of a listener of datagrams; takes memory with the first.
    #[inline]
    pub(crate) fn datagrams(&self) -> &DatagramCounters {
        self.datagrams.get_or_init(Box::default)
    }

    /// The same, if there was one.
    pub(crate) fn had_datagrams(&self) -> Option<&DatagramCounters> {
        self.datagrams.get().map(|datagrams| &**datagrams)
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its client closed first, or broke it.
    Client,
    /// Its backend did.
    Backend,
    /// Something took too long.
    Timeout,
    /// A drain was over.
    Drain,
    /// What its client sent leads nowhere.
    Refused,
    /// No backend took it.
    NoBackend,
    /// All datagrams of its client were answered.
    Answered,
}

impl Ended {
    pub(crate) const ALL: [Self; 7] = [
        Self::Client,
        Self::Backend,
        Self::Timeout,
        Self::Drain,
        Self::Refused,
        Self::NoBackend,
        Self::Answered,
    ];
    /// How those end that had a backend.
    pub(crate) const WITH_A_BACKEND: [Self; 5] =
        [Self::Client, Self::Backend, Self::Timeout, Self::Drain, Self::Answered];

    /// As metrics write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Backend => "backend",
            Self::Timeout => "timeout",
            Self::Drain => "drain",
            Self::Refused => "refused",
            Self::NoBackend => "no_backend",
            Self::Answered => "answered",
        }
    }
}

/// Sessions that are over, by why they ended.
#[derive(Debug, Default)]
pub(crate) struct Ends([Counter; Ended::ALL.len()]);

impl Ends {
    /// Counts one; only the owning worker may call it.
    pub(crate) fn count(&self, ended: Ended) {
        self.0[ended as usize].add(1);
    }

    pub(crate) fn value(&self, ended: Ended) -> u64 {
        self.0[ended as usize].value()
    }
}

/// What one worker knows about the sessions of a listener.
#[derive(Debug, Default)]
pub(crate) struct SessionCounters {
    pub(crate) ended: Ends,
    /// Bytes that the kernel moved.
    pub(crate) spliced: Counter,
    /// Until a backend took them.
    pub(crate) connect: Histogram,
}

/// Why a datagram went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// It would begin a session more than the listener may have.
    MaxSessions,
    /// It would begin a session more than its client may have.
    ClientLimit,
    /// It would begin a session, and there are too many clients to count them all.
    Clients,
    /// It would begin a session, and memory is short.
    Memory,
    /// It would begin a session, and there are no descriptors or ports for it.
    Resources,
    /// It would begin a session, and no backend takes one more.
    NoBackend,
    /// The socket it came to had no room.
    ReceiveBuffer,
    /// The socket towards the backend had no room.
    BackendBuffer,
    /// The socket towards clients had no room.
    ClientBuffer,
    /// The way out doesn't take it: too long for it, or forbidden.
    Unsendable,
}

impl Dropped {
    pub(crate) const ALL: [Self; 10] = [
        Self::MaxSessions,
        Self::ClientLimit,
        Self::Clients,
        Self::Memory,
        Self::Resources,
        Self::NoBackend,
        Self::ReceiveBuffer,
        Self::BackendBuffer,
        Self::ClientBuffer,
        Self::Unsendable,
    ];

    /// As metrics write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MaxSessions => "max_sessions",
            Self::ClientLimit => "client_limit",
            Self::Clients => "clients",
            Self::Memory => "memory",
            Self::Resources => "resources",
            Self::NoBackend => "no_backend",
            Self::ReceiveBuffer => "receive_buffer",
            Self::BackendBuffer => "backend_buffer",
            Self::ClientBuffer => "client_buffer",
            Self::Unsendable => "unsendable",
        }
    }
}

/// What one worker knows about the datagrams of a listener.
#[derive(Debug, Default)]
pub(crate) struct DatagramCounters {
    /// From clients.
    pub(crate) received: Counter,
    /// To clients.
    pub(crate) sent: Counter,
    /// Sessions that went on with another backend.
    pub(crate) moved: Counter,
    dropped: [Counter; Dropped::ALL.len()],
}

impl DatagramCounters {
    /// Counts some that went no further; only the owning worker may call it.
    pub(crate) fn drop(&self, why: Dropped, count: u64) {
        self.dropped[why as usize].add(count);
    }

    pub(crate) fn dropped(&self, why: Dropped) -> u64 {
        self.dropped[why as usize].value()
    }
}

/// What one worker knows about the handshakes of a listener, or with a backend.
#[derive(Debug, Default)]
pub(crate) struct TlsCounters {
    completed: [Counter; Kind::ALL.len()],
    failed: [Counter; Failed::ALL.len()],
}

impl TlsCounters {
    /// Counts one that is over; only the owning worker may call it.
    pub(crate) fn completed(&self, kind: Kind) {
        self.completed[kind as usize].add(1);
    }

    /// Counts one that failed; only the owning worker may call it.
    pub(crate) fn failed(&self, failed: Failed) {
        self.failed[failed as usize].add(1);
    }

    pub(crate) fn completions(&self, kind: Kind) -> u64 {
        self.completed[kind as usize].value()
    }

    pub(crate) fn failures(&self, failed: Failed) -> u64 {
        self.failed[failed as usize].value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(codes: &Codes) -> Vec<(String, u64)> {
        let mut sum = CodeCounts::default();
        codes.add_to(&mut sum);
        sum.iter().map(|(code, count)| (code.to_string(), count)).collect()
    }

    #[test]
    fn codes_are_counted_by_themselves() {
        let codes = Codes::default();
        for code in [200, 404, 200, 502] {
            codes.count(code);
        }
        let expected = [("200", 2), ("404", 1), ("502", 1)].map(|(code, n)| (code.to_owned(), n));
        assert_eq!(counts(&codes), expected);
    }

    #[test]
    fn a_backend_that_answers_with_every_code_does_not_grow_the_table() {
        let codes = Codes::default();
        for code in 100..1000 {
            codes.count(code);
        }
        let counts = counts(&codes);
        assert!(counts.len() <= DISTINCT_CODES + 6, "{counts:?}");
        assert_eq!(counts.iter().map(|(_, n)| n).sum::<u64>(), 900);
        assert!(counts.contains(&("5xx".to_owned(), 100)));
    }

    #[test]
    fn requests_without_an_answer_are_counted_apart() {
        let codes = Codes::default();
        for code in [0, 200, 0] {
            codes.count(code);
        }
        assert_eq!(counts(&codes), [("200".to_owned(), 1), ("none".to_owned(), 2)]);
    }

    #[test]
    fn classes_are_the_sum_of_their_codes() {
        let codes = Codes::default();
        for code in [200, 201, 204, 503] {
            codes.count(code);
        }
        let mut sum = CodeCounts::default();
        codes.add_to(&mut sum);
        assert_eq!(sum.by_class(), [("2xx".to_owned(), 3), ("5xx".to_owned(), 1)].into());
        assert_eq!(sum.total(), 4);
    }
}
