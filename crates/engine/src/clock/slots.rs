//! The entries of a wheel, in one list for each slot.
//!
//! The links stand in one vector beside the entries, so that moving an entry allocates nothing, and it is in no slot
//! but its own.

use std::rc::Rc;

use super::deadline::Entry;

/// An entry's number for as long as it exists.
pub(super) type Id = u32;

const NONE: Id = Id::MAX;

/// Doubly linked lists over one set of entries.
pub(super) struct Slots {
    first: Vec<Id>,
    nodes: Vec<Node>,
    /// First of the unused nodes, which are linked by `next`.
    unused: Id,
}

struct Node {
    entry: Option<Rc<Entry>>,
    previous: Id,
    next: Id,
}

impl Slots {
    pub(super) fn new(slots: usize) -> Self {
        Self { first: vec![NONE; slots], nodes: Vec::new(), unused: NONE }
    }

    /// A new entry, made with its number; in no slot so far.
    pub(super) fn add(&mut self, entry: impl FnOnce(Id) -> Rc<Entry>) -> Rc<Entry> {
        let id = if self.unused == NONE {
            self.nodes.push(Node { entry: None, previous: NONE, next: NONE });
            (self.nodes.len() - 1) as Id
        } else {
            self.unused
        };
        let entry = entry(id);
        let node = &mut self.nodes[id as usize];
        self.unused = node.next;
        *node = Node { entry: Some(Rc::clone(&entry)), previous: NONE, next: NONE };
        entry
    }

    /// Forgets an entry that is in no slot.
    pub(super) fn remove(&mut self, id: Id) {
        self.nodes[id as usize] = Node { entry: None, previous: NONE, next: self.unused };
        self.unused = id;
    }

    pub(super) fn link(&mut self, slot: usize, id: Id) {
        let next = std::mem::replace(&mut self.first[slot], id);
        if next != NONE {
            self.nodes[next as usize].previous = id;
        }
        let node = &mut self.nodes[id as usize];
        (node.previous, node.next) = (NONE, next);
    }

    /// Takes an entry out of `slot`, which it is in.
    pub(super) fn unlink(&mut self, slot: usize, id: Id) {
        let Node { previous, next, .. } = self.nodes[id as usize];
        if previous == NONE {
            self.first[slot] = next;
        } else {
            self.nodes[previous as usize].next = next;
        }
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
    }

    /// The first entry of `slot`.
    pub(super) fn first(&self, slot: usize) -> Option<Rc<Entry>> {
        self.entry(self.first[slot])
    }

    /// The entry behind this one in its slot.
    pub(super) fn after(&self, id: Id) -> Option<Rc<Entry>> {
        self.entry(self.nodes[id as usize].next)
    }

    fn entry(&self, id: Id) -> Option<Rc<Entry>> {
        self.nodes.get(id as usize)?.entry.clone()
    }
}
