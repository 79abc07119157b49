//! What is due next.
//!
//! Two kinds of things are due. Events, of which there are about as many as requests being served, stand in a heap of
//! 16 bytes each. Limits of time, of which every request sets some and nearly none passes, stand in a line for each kind:
//! all of one kind are equally long, so whoever is set last is due last, and a million of them cost no sorting.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::clock::Nanos;

/// Something that happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A server is done with this job.
    Finish { job: u32 },
    /// The wait before a further try is over.
    TryAgain { request: u32, stamp: u32 },
    /// A waiting request looks for room, as some comes without a slot that is freed.
    Look { request: u32, stamp: u32 },
    /// An effect begins.
    Begin { effect: u32 },
    /// It is over.
    End { effect: u32 },
    /// A server pauses, as an effect has it.
    Pause { effect: u32, server: u32 },
    /// A check is due.
    Check,
    /// A check has a result.
    Checked { server: u32, good: bool },
    /// All are judged.
    Judge,
    /// Those are judged that somebody has waited to have judged.
    Alarm,
    /// A request has waited for long enough to be sent to another backend besides.
    Hedge { request: u32, stamp: u32 },
    /// A server's circuit breaker may have been open, or its trial have lasted, for long enough.
    Tend { server: u32 },
    /// A point of the series is full.
    Turn,
}

/// What may take only so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Making a connection.
    Connect,
    /// From the request to the answer.
    Response,
    /// One try.
    Try,
    /// Everything.
    Request,
    /// Waiting for room.
    Queue,
}

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Event(Event),
    /// The limit of a request has passed, if its stamp is still this one.
    Limit {
        limit: Limit,
        request: u32,
        stamp: u32,
    },
}

/// An event in order of its time; those of one moment in the order of their kinds, so that every run has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Nanos,
    what: u64,
}

#[derive(Clone, Copy, Debug)]
struct Set {
    at: Nanos,
    request: u32,
    stamp: u32,
}

const LIMITS: [Limit; 5] = [Limit::Connect, Limit::Response, Limit::Try, Limit::Request, Limit::Queue];

/// Everything that is due some time.
#[derive(Debug, Default)]
pub(crate) struct Calendar {
    events: BinaryHeap<Reverse<Entry>>,
    limits: [VecDeque<Set>; LIMITS.len()],
}

impl Calendar {
    pub(crate) fn add(&mut self, at: Nanos, event: Event) {
        self.events.push(Reverse(Entry { at, what: pack(event) }));
    }

    /// Limits of one kind are equally long, so this one is behind all that were set.
    pub(crate) fn limit(&mut self, at: Nanos, limit: Limit, request: u32, stamp: u32) {
        let line = &mut self.limits[limit as usize];
        debug_assert!(line.back().is_none_or(|last| last.at <= at), "invariant: a kind has one length");
        line.push_back(Set { at, request, stamp });
    }

    /// When the next thing is due.
    pub(crate) fn next(&self) -> Option<Nanos> {
        let event = self.events.peek().map(|Reverse(entry)| entry.at);
        let limits = self.limits.iter().filter_map(|line| line.front()).map(|set| set.at);
        limits.chain(event).min()
    }

    /// Takes the next thing that is due. An answer that comes in the moment its limit passes has come.
    pub(crate) fn take(&mut self) -> Option<Due> {
        let at = self.next()?;
        if self.events.peek().is_some_and(|Reverse(entry)| entry.at == at) {
            return self.events.pop().map(|Reverse(entry)| Due::Event(unpack(entry.what)));
        }
        let due = |line: &VecDeque<Set>| line.front().is_some_and(|set| set.at == at);
        let limit = LIMITS.into_iter().find(|&limit| due(&self.limits[limit as usize]))?;
        let set = self.limits[limit as usize].pop_front()?;
        Some(Due::Limit { limit, request: set.request, stamp: set.stamp })
    }
}

/// Kind: 8 bits, first number: 24, second: 32. There are never 2²⁴ requests, jobs, servers or effects at a time.
fn pack(event: Event) -> u64 {
    let (kind, first, second): (u64, u32, u32) = match event {
        Event::Finish { job } => (0, 0, job),
        Event::TryAgain { request, stamp } => (1, request, stamp),
        Event::Look { request, stamp } => (2, request, stamp),
        Event::Begin { effect } => (3, 0, effect),
        Event::End { effect } => (4, 0, effect),
        Event::Pause { effect, server } => (5, effect, server),
        Event::Check => (6, 0, 0),
        Event::Checked { server, good } => (7, server, u32::from(good)),
        Event::Judge => (8, 0, 0),
        Event::Alarm => (9, 0, 0),
        Event::Tend { server } => (10, 0, server),
        Event::Hedge { request, stamp } => (11, request, stamp),
        Event::Turn => (12, 0, 0),
    };
    kind << 56 | u64::from(first) << 32 | u64::from(second)
}

fn unpack(word: u64) -> Event {
    let first = (word >> 32) as u32 & MOST;
    let second = word as u32;
    match word >> 56 {
        0 => Event::Finish { job: second },
        1 => Event::TryAgain { request: first, stamp: second },
        2 => Event::Look { request: first, stamp: second },
        3 => Event::Begin { effect: second },
        4 => Event::End { effect: second },
        5 => Event::Pause { effect: first, server: second },
        6 => Event::Check,
        7 => Event::Checked { server: first, good: second != 0 },
        8 => Event::Judge,
        9 => Event::Alarm,
        10 => Event::Tend { server: second },
        11 => Event::Hedge { request: first, stamp: second },
        _ => Event::Turn,
    }
}

/// The largest number that has room as a first one.
pub(crate) const MOST: u32 = (1 << 24) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_as_they_were_packed() {
        for event in [
            Event::Finish { job: u32::MAX },
            Event::TryAgain { request: MOST, stamp: u32::MAX },
            Event::Look { request: 1, stamp: 2 },
            Event::Begin { effect: 3 },
            Event::End { effect: 3 },
            Event::Pause { effect: 4, server: 5 },
            Event::Check,
            Event::Checked { server: 6, good: true },
            Event::Checked { server: 6, good: false },
            Event::Judge,
            Event::Alarm,
            Event::Tend { server: 9 },
            Event::Hedge { request: 10, stamp: 11 },
            Event::Turn,
        ] {
            assert_eq!(unpack(pack(event)), event);
        }
    }

    #[test]
    fn what_is_due_first_comes_first_and_an_answer_before_its_limit() {
        let mut calendar = Calendar::default();
        calendar.add(30, Event::Judge);
        calendar.limit(20, Limit::Response, 1, 1);
        calendar.add(20, Event::Finish { job: 7 });
        calendar.limit(10, Limit::Connect, 2, 1);
        let mut came = Vec::new();
        while let Some(at) = calendar.next() {
            came.push((at, calendar.take().expect("something is due")));
        }
        assert_eq!(
            came,
            [
                (10, Due::Limit { limit: Limit::Connect, request: 2, stamp: 1 }),
                (20, Due::Event(Event::Finish { job: 7 })),
                (20, Due::Limit { limit: Limit::Response, request: 1, stamp: 1 }),
                (30, Due::Event(Event::Judge)),
            ]
        );
    }
}
