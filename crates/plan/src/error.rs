//! What is wrong with a description, and where in the configuration it was written.

use std::fmt::Display;

/// One thing that is wrong with a [`Spec`](crate::spec::Spec).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The place in the configuration's own terms, which are the operator's: `["listeners", "web", "routes", "0",
    /// "match", "path"]`. An element of a list that has several is named by its index from 0; the only one of a
    /// list that may be written without brackets (`bind`, `host`, `path`) is named by the list.
    pub path: Vec<String>,
    /// What is wrong and, where it helps, what to write instead. One line.
    pub message: String,
}

impl Display for SpecError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.path.join("."), self.message)
    }
}

impl std::error::Error for SpecError {}

/// A place in the configuration. A chain of borrowed keys, so that only an error pays for its path.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    key: Key<'a>,
}

#[derive(Clone, Copy)]
enum Key<'a> {
    Name(&'a str),
    Index(usize),
    Only,
}

impl<'a> Place<'a> {
    pub(crate) fn root(name: &'a str) -> Self {
        Self { parent: None, key: Key::Name(name) }
    }

    pub(crate) fn key(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), key: Key::Name(name) }
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), key: Key::Index(index) }
    }

    /// An element of a list which, with one element, may be written without the list.
    pub(crate) fn item(&'a self, index: usize, of: usize) -> Self {
        Self { parent: Some(self), key: if of == 1 { Key::Only } else { Key::Index(index) } }
    }

    fn path(&self) -> Vec<String> {
        let mut path = self.parent.map(Self::path).unwrap_or_default();
        match self.key {
            Key::Name(name) => path.push(name.to_owned()),
            Key::Index(index) => path.push(index.to_string()),
            Key::Only => {}
        }
        path
    }
}

/// All that was found so far: a description is refused with every error it has.
#[derive(Default)]
pub(crate) struct Errors(Vec<SpecError>);

impl Errors {
    pub(crate) fn add(&mut self, at: Place<'_>, message: impl Display) {
        self.0.push(SpecError { path: at.path(), message: message.to_string() });
    }

    /// The value, or its error noted at this place.
    pub(crate) fn take<T>(&mut self, at: Place<'_>, result: Result<T, impl Display>) -> Option<T> {
        result.map_err(|error| self.add(at, error)).ok()
    }

    pub(crate) fn none_or<T>(self, value: impl FnOnce() -> T) -> Result<T, Vec<SpecError>> {
        if self.0.is_empty() { Ok(value()) } else { Err(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_names_an_index_only_where_there_are_several() {
        let listeners = Place::root("listeners");
        let web = listeners.key("web");
        let bind = web.key("bind");
        assert_eq!(bind.item(0, 1).path(), ["listeners", "web", "bind"]);
        assert_eq!(bind.item(1, 2).path(), ["listeners", "web", "bind", "1"]);
        assert_eq!(bind.index(0).path(), ["listeners", "web", "bind", "0"]);
    }
}
