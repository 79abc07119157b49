//! How a request finds its route.
//!
//! Every route is taken apart into alternatives, one for each of its hosts with each of its paths. All alternatives of
//! a listener stand in one order that no request changes (priority, host, path, file), so the search is for the
//! smallest position among those that match: a hash map gives the paths of the exact host, of each wildcard that ends it
//! and of no host at all, and in each of them a tree of segments gives its best. What can't be better than what was
//! found already isn't searched, so a less specific host costs nothing once a more specific one has an answer.

mod host;
mod pattern;
mod rule;
mod trace;
mod tree;

use std::cmp::Reverse;
use std::collections::HashMap;

use foldhash::fast::FixedState;
use smallvec::SmallVec;

pub use self::host::MAX_HOST;
use self::host::{HostRule, is_lower, without_port};
use self::rule::{HostRank, PathRank, Rank};
pub(crate) use self::rule::{Rule, one_line};
pub use self::trace::{Criterion, Step, Verdict};
use self::tree::{NOWHERE, Position, Tree};

/// A host or a segment that is looked up. Up to 24 bytes stand in the table itself, so that comparing them touches no
/// further cache line: with ten thousand routes each is one that isn't in the cache.
type Key = SmallVec<[u8; 24]>;

/// The routes of a listener, to be found by host and path.
#[derive(Debug)]
pub struct Router {
    exact: HashMap<Key, Tree, FixedState>,
    /// By suffix, leading dot included.
    wildcard: HashMap<Key, Tree, FixedState>,
    longest_wildcard: usize,
    /// The best position of all wildcards: names aren't looked up for nothing.
    best_wildcard: Position,
    every: Tree,
    /// The route of each position.
    routes: Vec<usize>,
    /// As they were given, for [`Router::trace`].
    rules: Vec<Rule>,
}

impl Router {
    pub(crate) fn build(rules: Vec<Rule>) -> Self {
        let mut alternatives = Vec::with_capacity(rules.len());
        for (order, rule) in rules.iter().enumerate() {
            for host in rule.host_alternatives() {
                for path in rule.path_alternatives() {
                    let priority = Reverse(rule.priority);
                    let rank = Rank { priority, host: HostRank::of(host), path: PathRank::of(path), order };
                    alternatives.push((rank, host, path));
                }
            }
        }
        alternatives.sort_by_key(|(rank, ..)| *rank);
        let mut router = Self {
            exact: HashMap::default(),
            wildcard: HashMap::default(),
            longest_wildcard: 0,
            best_wildcard: NOWHERE,
            every: Tree::default(),
            routes: alternatives.iter().map(|(rank, ..)| rank.order).collect(),
            rules: Vec::new(),
        };
        for (position, (_, host, path)) in (0..NOWHERE).zip(&alternatives) {
            if matches!(host, Some(HostRule::Wildcard(_))) {
                router.best_wildcard = router.best_wildcard.min(position);
            }
            router.tree(*host).insert(position, *path);
        }
        drop(alternatives);
        router.rules = rules;
        router
    }

    fn tree(&mut self, host: Option<&HostRule>) -> &mut Tree {
        match host {
            Some(HostRule::Exact(name)) => self.exact.entry(Key::from_slice(name.as_bytes())).or_default(),
            Some(HostRule::Wildcard(suffix)) => {
                self.longest_wildcard = self.longest_wildcard.max(suffix.len());
                self.wildcard.entry(Key::from_slice(suffix.as_bytes())).or_default()
            }
            None => &mut self.every,
        }
    }

    /// The index of the route that a request takes; `None`: no route. `host` may have any case and a port and may be
    /// empty; one that is longer than [`MAX_HOST`] takes no route. `path` is normalised. Allocates nothing.
    #[must_use]
    pub fn route(&self, host: &[u8], path: &[u8]) -> Option<usize> {
        let host = without_port(host)?;
        let position = if is_lower(host) { self.search(host, path) } else { self.search_lowered(host, path) };
        self.routes.get(position as usize).copied()
    }

    /// Apart from [`Router::route`], so that a host in lower case, which is nearly every one, pays for no buffer.
    #[inline(never)]
    fn search_lowered(&self, host: &[u8], path: &[u8]) -> Position {
        let mut buffer = [0; MAX_HOST];
        let lowered = &mut buffer[..host.len()];
        lowered.copy_from_slice(host);
        lowered.make_ascii_lowercase();
        self.search(lowered, path)
    }

    fn search(&self, host: &[u8], path: &[u8]) -> Position {
        let mut found = NOWHERE;
        if let Some(tree) = self.exact.get(host) {
            tree.search(path, &mut found);
        }
        if self.best_wildcard < found {
            self.search_wildcards(host, path, &mut found);
        }
        self.every.search(path, &mut found);
        found
    }

    fn search_wildcards(&self, host: &[u8], path: &[u8], found: &mut Position) {
        let first = host.len().saturating_sub(self.longest_wildcard).max(1);
        let Some(tail) = host.get(first..) else { return };
        for dot in memchr::memchr_iter(b'.', tail) {
            if let Some(tree) = self.wildcard.get(&tail[dot..]) {
                tree.search(path, found);
            }
        }
    }
}
