//! The members that a request has already been to.

/// Up to 32 member indices; small and `Copy`, so that it lives in the request and never allocates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    members: [u32; Tried::CAPACITY],
    len: u8,
}

impl Tried {
    /// No request makes more tries than this.
    pub const CAPACITY: usize = 32;

    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member; false if there is no room. One that is in it already needs none.
    pub fn insert(&mut self, member: usize) -> bool {
        if self.contains(member) {
            return true;
        }
        let Some(place) = self.members.get_mut(usize::from(self.len)) else { return false };
        *place = member as u32;
        self.len += 1;
        true
    }

    /// Takes a member out again.
    pub fn remove(&mut self, member: usize) {
        let len = usize::from(self.len);
        if let Some(at) = self.members[..len].iter().position(|&tried| tried as usize == member) {
            self.members[at] = self.members[len - 1];
            self.len -= 1;
        }
    }

    /// Whether the request has been to this member.
    #[must_use]
    pub fn contains(&self, member: usize) -> bool {
        self.members[..usize::from(self.len)].iter().any(|&tried| tried as usize == member)
    }

    /// Whether the request has been nowhere, as nearly every request has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many members the request has been to.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }
}
