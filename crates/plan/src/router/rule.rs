//! What a route asks of a request, and how strongly.

use std::cmp::Reverse;

use fairlead_wire::path::EncodedSlashes;
use regex::bytes::Regex;

use super::host::HostRule;
use super::pattern::Pattern;
use crate::error::{Errors, Place};
use crate::spec;

/// The conditions of one route: any of the hosts and any of the paths; none given means every one.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) priority: i64,
    pub(crate) hosts: Vec<HostRule>,
    pub(crate) paths: Vec<PathRule>,
}

#[derive(Debug, Clone)]
pub(crate) enum PathRule {
    Pattern(Pattern),
    Regex(Regex),
}

/// Where an alternative of a route (one of its hosts with one of its paths) stands among all of a listener's; the
/// smallest that matches wins. The order of the fields is the order of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) priority: Reverse<i64>,
    pub(crate) host: HostRank,
    pub(crate) path: PathRank,
    /// Place in the file.
    pub(crate) order: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HostRank {
    Exact,
    /// By length: of two wildcards that match a host, the longer one says more of it.
    Wildcard(Reverse<usize>),
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathRank {
    Exact,
    /// By the number of literal segments.
    Wildcard(Reverse<usize>),
    Regex,
    None,
}

impl Rule {
    pub(crate) fn build(
        spec: &spec::Route,
        at: Place<'_>,
        slashes: EncodedSlashes,
        errors: &mut Errors,
    ) -> Option<Self> {
        let at = at.key("match");
        let (host, path) = (at.key("host"), at.key("path"));
        let (hosts, paths) = (&spec.r#match.hosts, &spec.r#match.paths);
        let rule = Self {
            priority: spec.priority,
            hosts: hosts
                .iter()
                .enumerate()
                .filter_map(|(index, text)| errors.take(host.item(index, hosts.len()), HostRule::parse(text)))
                .collect(),
            paths: paths
                .iter()
                .enumerate()
                .filter_map(|(index, path_match)| {
                    errors.take(path.item(index, paths.len()), PathRule::parse(path_match, slashes))
                })
                .collect(),
        };
        let complete = rule.hosts.len() == hosts.len() && rule.paths.len() == paths.len();
        complete.then_some(rule)
    }

    /// The hosts asked for, `None` standing for every one.
    pub(crate) fn host_alternatives(&self) -> impl Iterator<Item = Option<&HostRule>> {
        let every = self.hosts.is_empty().then_some(None);
        self.hosts.iter().map(Some).chain(every)
    }

    /// The paths asked for, `None` standing for every one.
    pub(crate) fn path_alternatives(&self) -> impl Iterator<Item = Option<&PathRule>> {
        let every = self.paths.is_empty().then_some(None);
        self.paths.iter().map(Some).chain(every)
    }
}

impl PathRule {
    fn parse(spec: &spec::PathMatch, slashes: EncodedSlashes) -> Result<Self, String> {
        match spec {
            spec::PathMatch::Pattern(text) => Pattern::parse(text, slashes).map(Self::Pattern),
            spec::PathMatch::Regex(text) => Regex::new(text)
                .map(Self::Regex)
                .map_err(|error| format!("regex {text:?}: {}", one_line(&error))),
        }
    }

    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(path),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

/// The regex crate draws the pattern with a caret beneath and gives the reason in the last line.
pub(crate) fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl HostRank {
    pub(crate) fn of(host: Option<&HostRule>) -> Self {
        match host {
            Some(HostRule::Exact(_)) => Self::Exact,
            Some(HostRule::Wildcard(suffix)) => Self::Wildcard(Reverse(suffix.len())),
            None => Self::None,
        }
    }
}

impl PathRank {
    pub(crate) fn of(path: Option<&PathRule>) -> Self {
        match path {
            Some(PathRule::Pattern(pattern)) if pattern.is_exact() => Self::Exact,
            Some(PathRule::Pattern(pattern)) => Self::Wildcard(Reverse(pattern.literals())),
            Some(PathRule::Regex(_)) => Self::Regex,
            None => Self::None,
        }
    }
}
