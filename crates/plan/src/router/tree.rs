//! The paths that are asked of one host: a tree of segments, regexes in order, and the route that asks for none.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use regex::bytes::Regex;

use super::Key;
use super::pattern::{Pattern, Segment};
use super::rule::PathRule;

/// Position of an alternative in the listener's order; the smallest that matches wins.
pub(super) type Position = u32;

/// Nothing found yet: everything is better.
pub(super) const NOWHERE: Position = Position::MAX;

/// The paths that are asked of one host.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Node,
    /// Best first.
    regexes: Vec<(Position, Regex)>,
    /// The one that takes every path.
    every: Best,
    /// The best of all of it: what is no better than what was found elsewhere isn't searched.
    best: Best,
}

/// The best position seen; [`NOWHERE`] at first.
#[derive(Debug, Clone, Copy)]
struct Best(Position);

impl Default for Best {
    fn default() -> Self {
        Self(NOWHERE)
    }
}

impl Best {
    fn note(&mut self, position: Position) {
        self.0 = self.0.min(position);
    }
}

#[derive(Debug, Default)]
struct Node {
    /// Of this node and all below it.
    best: Best,
    /// Patterns that end here.
    here: Best,
    /// Patterns that end here in `/*`.
    below: Best,
    any: Option<Box<Node>>,
    literal: HashMap<Key, Node, FixedState>,
}

impl Tree {
    /// To be called in the order of positions.
    pub(super) fn insert(&mut self, position: Position, path: Option<&PathRule>) {
        self.best.note(position);
        match path {
            Some(PathRule::Pattern(pattern)) => self.root.insert(position, pattern),
            Some(PathRule::Regex(regex)) => self.regexes.push((position, regex.clone())),
            None => self.every.note(position),
        }
    }

    /// Lowers `found` to the best position that takes the path, if it is better.
    pub(super) fn search(&self, path: &[u8], found: &mut Position) {
        if self.best.0 >= *found {
            return;
        }
        *found = (*found).min(self.every.0);
        if let Some(rest) = path.strip_prefix(b"/") {
            self.root.search(Some(rest), found);
        }
        for (position, regex) in &self.regexes {
            if *position >= *found {
                return;
            }
            if regex.is_match(path) {
                *found = *position;
            }
        }
    }
}

impl Node {
    fn insert(&mut self, position: Position, pattern: &Pattern) {
        let mut node = self;
        node.best.note(position);
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(text) => node.literal.entry(Key::from_slice(text)).or_default(),
                Segment::Any => node.any.get_or_insert_default(),
            };
            node.best.note(position);
        }
        if pattern.below { node.below.note(position) } else { node.here.note(position) }
    }

    /// `rest` is what follows this node's slash; `None` if the path ended here.
    fn search(&self, rest: Option<&[u8]>, found: &mut Position) {
        *found = (*found).min(self.below.0);
        let Some(rest) = rest else {
            *found = (*found).min(self.here.0);
            return;
        };
        let (segment, rest) = match memchr::memchr(b'/', rest) {
            Some(slash) => (&rest[..slash], Some(&rest[slash + 1..])),
            None => (rest, None),
        };
        if let Some(child) = self.literal.get(segment).filter(|child| child.best.0 < *found) {
            child.search(rest, found);
        }
        if let Some(child) = self.any.as_deref().filter(|child| child.best.0 < *found && !segment.is_empty())
        {
            child.search(rest, found);
        }
    }
}
