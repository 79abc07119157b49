//! Why a request takes its route: the same decision, made the long way and explained.

use std::cmp::Reverse;

use super::Router;
use super::host::canonical;
use super::rule::{HostRank, PathRank, Rank, Rule};

/// What one route said of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Index of the route.
    pub route: usize,
    /// Whether it was taken, and why not.
    pub verdict: Verdict,
}

/// Whether a route was taken, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The request takes this route.
    Won,
    /// It doesn't ask for this host.
    OtherHost,
    /// It asks for this host, not for this path.
    OtherPath,
    /// It matches, but the winner stands before it, by the first criterion in which they differ.
    Outranked(Criterion),
}

/// By what one route stands before another, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// The higher `priority`.
    Priority,
    /// Exact, then the longer wildcard, then none.
    Host,
    /// Exact, then more literal segments, then a regex, then none.
    Path,
    /// The earlier in the file.
    Order,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::OtherHost => "other_host",
            Self::OtherPath => "other_path",
            Self::Outranked(_) => "outranked",
        }
    }
}

impl Criterion {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Host => "host",
            Self::Path => "path",
            Self::Order => "order",
        }
    }
}

impl Router {
    /// What each route says of a request: first those that match, best first, then the others in file order. Takes
    /// what [`Router::route`] takes and comes to the same end.
    #[must_use]
    pub fn trace(&self, host: &[u8], path: &[u8]) -> Vec<Step> {
        let host = canonical(host);
        let asked: Vec<_> = self
            .rules
            .iter()
            .enumerate()
            .map(|(route, rule)| {
                (
                    route,
                    host.as_deref().ok_or(Verdict::OtherHost).and_then(|host| rank(rule, route, host, path)),
                )
            })
            .collect();
        let mut matching: Vec<(usize, Rank)> =
            asked.iter().filter_map(|(route, rank)| Some((*route, (*rank).ok()?))).collect();
        matching.sort_by_key(|(_, rank)| *rank);
        let winner = matching.first().map(|(_, rank)| *rank);
        let matched = matching.iter().map(|(route, rank)| Step {
            route: *route,
            verdict: winner
                .and_then(|winner| criterion(&winner, rank))
                .map_or(Verdict::Won, Verdict::Outranked),
        });
        let others =
            asked.iter().filter_map(|(route, rank)| Some(Step { route: *route, verdict: rank.err()? }));
        matched.chain(others).collect()
    }
}

/// The best of a rule's alternatives that match.
fn rank(rule: &Rule, order: usize, host: &[u8], path: &[u8]) -> Result<Rank, Verdict> {
    let host = rule
        .host_alternatives()
        .filter(|rule| rule.is_none_or(|rule| rule.matches(host)))
        .map(HostRank::of)
        .min()
        .ok_or(Verdict::OtherHost)?;
    let path = rule
        .path_alternatives()
        .filter(|rule| rule.is_none_or(|rule| rule.matches(path)))
        .map(PathRank::of)
        .min()
        .ok_or(Verdict::OtherPath)?;
    Ok(Rank { priority: Reverse(rule.priority), host, path, order })
}

/// The first in which the better one differs; `None` if they are one.
fn criterion(better: &Rank, worse: &Rank) -> Option<Criterion> {
    if better.priority != worse.priority {
        Some(Criterion::Priority)
    } else if better.host != worse.host {
        Some(Criterion::Host)
    } else if better.path != worse.path {
        Some(Criterion::Path)
    } else {
        (better.order != worse.order).then_some(Criterion::Order)
    }
}
