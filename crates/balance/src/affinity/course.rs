//! What becomes of a request whose client is known.

use crate::pool::Known;

/// What to do for a client whose backend can't have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It goes to another one, and stays there.
    #[default]
    Rebalance,
    /// Its request is answered with an error: nobody else could do anything with it.
    Fail,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// The place was taken: it goes there.
    Keep,
    /// It waits until that backend has room.
    Wait,
    /// It is picked for as any other.
    Anew,
    /// It fails.
    Fail,
}

impl OnFailure {
    /// What follows from what the client's backend says, in a pool that `queues` requests while there is no room.
    #[must_use]
    pub fn course(self, known: Known, queues: bool) -> Course {
        match (known, queues, self) {
            (Known::Taken, _, _) => Course::Keep,
            (Known::Full, true, _) => Course::Wait,
            (Known::Full | Known::Gone, _, Self::Rebalance) => Course::Anew,
            (Known::Full | Known::Gone, _, Self::Fail) => Course::Fail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_backend_is_waited_for() {
        use Course::{Anew, Keep, Wait};
        use Known::{Full, Gone, Taken};
        use OnFailure::Rebalance;
        let rule = [
            (Taken, false, OnFailure::Fail, Keep),
            (Taken, true, Rebalance, Keep),
            (Full, true, Rebalance, Wait),
            (Full, true, OnFailure::Fail, Wait),
            (Full, false, Rebalance, Anew),
            (Full, false, OnFailure::Fail, Course::Fail),
            (Gone, true, Rebalance, Anew),
            (Gone, true, OnFailure::Fail, Course::Fail),
        ];
        for (known, queues, on_failure, expected) in rule {
            assert_eq!(on_failure.course(known, queues), expected, "{known:?} {queues} {on_failure:?}");
        }
    }
}
