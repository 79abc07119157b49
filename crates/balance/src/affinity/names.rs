//! The ids of backends as small numbers, which is how an entry names its backend.

use std::collections::{HashMap, HashSet};

use super::table::ORDINALS;

/// A number for each id that was ever used, so that a backend which comes back has its clients again.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_id: HashMap<Box<str>, u16>,
    ids: Vec<Box<str>>,
    /// Whose number is taken from it next, once there is none left.
    oldest: usize,
}

/// As many backends a pool may have whose clients are remembered.
pub const MOST_BACKENDS: usize = ORDINALS - 1;

impl Names {
    /// The numbers of these, of which there are at most [`MOST_BACKENDS`]. After as many different ids the numbers of those
    /// that aren't among them are used again: an entry that still names such a one then means another backend.
    pub(crate) fn ordinals<'a>(&mut self, ids: impl Iterator<Item = &'a str> + Clone) -> Vec<u16> {
        let kept: HashSet<u16> = ids.clone().filter_map(|id| self.by_id.get(id).copied()).collect();
        ids.map(|id| match self.by_id.get(id) {
            Some(&ordinal) => ordinal,
            None => self.add(id, &kept),
        })
        .collect()
    }

    pub(crate) fn ordinal(&self, id: &str) -> Option<u16> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn id(&self, ordinal: u16) -> Option<&str> {
        self.ids.get(usize::from(ordinal)).map(|id| &**id)
    }

    fn add(&mut self, id: &str, kept: &HashSet<u16>) -> u16 {
        if self.ids.len() < MOST_BACKENDS {
            self.ids.push(id.into());
            let ordinal = (self.ids.len() - 1) as u16;
            self.by_id.insert(id.into(), ordinal);
            return ordinal;
        }
        let most = self.ids.len();
        while kept.contains(&(self.oldest as u16)) {
            self.oldest = (self.oldest + 1) % most;
        }
        let ordinal = self.oldest;
        self.oldest = (self.oldest + 1) % most;
        let before = std::mem::replace(&mut self.ids[ordinal], id.into());
        self.by_id.remove(&before);
        self.by_id.insert(id.into(), ordinal as u16);
        ordinal as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_keeps_its_number() {
        let mut names = Names::default();
        assert_eq!(names.ordinals(["a", "b"].into_iter()), [0, 1]);
        assert_eq!(names.ordinals(["c", "b"].into_iter()), [2, 1]);
        assert_eq!(names.ordinals(["a"].into_iter()), [0]);
        assert_eq!((names.id(1), names.id(9), names.ordinal("c")), (Some("b"), None, Some(2)));
    }

    #[test]
    fn numbers_are_used_again_but_never_those_of_who_is_there() {
        let mut names = Names::default();
        let ids: Vec<String> = (0..MOST_BACKENDS).map(|n| n.to_string()).collect();
        names.ordinals(ids.iter().map(String::as_str));
        let two = names.ordinals(["0", "new", "newer"].into_iter());
        assert_eq!(two, [0, 1, 2]);
        assert_eq!((names.ordinal("1"), names.id(1)), (None, Some("new")));
        assert_eq!(names.ordinals(["1", "new"].into_iter()), [3, 1]);
    }
}
