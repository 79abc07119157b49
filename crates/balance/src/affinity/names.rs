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
    /// The numbers that these have, or will have once they are [entered](Self::enter); there are at most
    /// [`MOST_BACKENDS`]. After as many different ids the numbers of those that aren't among them are used again: an entry
    /// that still names such a one then means another backend.
    pub(crate) fn ordinals<'a>(&self, ids: impl Iterator<Item = &'a str> + Clone) -> Vec<u16> {
        let kept: HashSet<u16> = ids.clone().filter_map(|id| self.ordinal(id)).collect();
        let (mut unused, mut oldest) = (self.ids.len(), self.oldest);
        let mut free = || {
            if unused < MOST_BACKENDS {
                unused += 1;
                return (unused - 1) as u16;
            }
            while kept.contains(&(oldest as u16)) {
                oldest = after(oldest);
            }
            let ordinal = oldest;
            oldest = after(oldest);
            ordinal as u16
        };
        ids.map(|id| self.ordinal(id).unwrap_or_else(&mut free)).collect()
    }

    /// From now on `id` has this number, which was said to be its next.
    pub(crate) fn enter(&mut self, id: &str, ordinal: u16) {
        let place = usize::from(ordinal);
        match self.ids.get_mut(place) {
            Some(before) if **before == *id => return,
            Some(before) => {
                self.by_id.remove(&**before);
                *before = id.into();
                self.oldest = after(place);
            }
            None => self.ids.push(id.into()),
        }
        self.by_id.insert(id.into(), ordinal);
    }

    pub(crate) fn ordinal(&self, id: &str) -> Option<u16> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn id(&self, ordinal: u16) -> Option<&str> {
        self.ids.get(usize::from(ordinal)).map(|id| &**id)
    }
}

/// The number after this one, once all are in use.
const fn after(ordinal: usize) -> usize {
    (ordinal + 1) % MOST_BACKENDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter<'a>(names: &mut Names, ids: impl Iterator<Item = &'a str> + Clone) -> Vec<u16> {
        let ordinals = names.ordinals(ids.clone());
        ids.zip(&ordinals).for_each(|(id, &ordinal)| names.enter(id, ordinal));
        ordinals
    }

    #[test]
    fn a_backend_keeps_its_number() {
        let mut names = Names::default();
        assert_eq!(enter(&mut names, ["a", "b"].into_iter()), [0, 1]);
        assert_eq!(enter(&mut names, ["c", "b"].into_iter()), [2, 1]);
        assert_eq!(enter(&mut names, ["a"].into_iter()), [0]);
        assert_eq!((names.id(1), names.id(9), names.ordinal("c")), (Some("b"), None, Some(2)));
    }

    #[test]
    fn numbers_are_used_again_but_never_those_of_who_is_there() {
        let mut names = Names::default();
        let ids: Vec<String> = (0..MOST_BACKENDS).map(|n| n.to_string()).collect();
        enter(&mut names, ids.iter().map(String::as_str));
        let two = enter(&mut names, ["0", "new", "newer"].into_iter());
        assert_eq!(two, [0, 1, 2]);
        assert_eq!((names.ordinal("1"), names.id(1)), (None, Some("new")));
        assert_eq!(enter(&mut names, ["1", "new"].into_iter()), [3, 1]);
    }

    #[test]
    fn who_never_serves_takes_no_number() {
        let mut names = Names::default();
        let ids: Vec<String> = (0..MOST_BACKENDS).map(|n| n.to_string()).collect();
        enter(&mut names, ids.iter().map(String::as_str));
        assert_eq!(names.ordinals(["new", "1"].into_iter()), [0, 1]);
        assert_eq!((names.ordinal("new"), names.id(0)), (None, Some("0")));
        assert_eq!(enter(&mut names, ["newer"].into_iter()), [0]);
    }
}
