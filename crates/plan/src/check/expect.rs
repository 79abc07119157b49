//! What makes an answer a good one.

use std::fmt;

use fairlead_wire::Head;
use regex::bytes::Regex;

use crate::error::{Errors, Place};
use crate::router::one_line;
use crate::spec::{self, BodyTest, ProbeMethod};

/// Statuses are of three digits (RFC 9110 15).
const STATUSES: std::ops::RangeInclusive<u16> = 100..=599;

/// What an answer has to be.
#[derive(Debug)]
pub struct Expectation {
    /// Any of these, from the first to the second one.
    statuses: Vec<(u16, u16)>,
    headers: Vec<(Box<str>, HeaderTest)>,
    body: Option<Regex>,
}

#[derive(Debug)]
enum HeaderTest {
    Present(bool),
    Matches(Regex),
}

/// What of an answer isn't as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The status is this.
    Status(u16),
    /// This field.
    Header(Box<str>),
    /// The body.
    Body,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(out, "status {status}"),
            Self::Header(name) => write!(out, "header {name} is not as expected"),
            Self::Body => out.write_str("body is not as expected"),
        }
    }
}

impl Expectation {
    pub(super) fn build(spec: &spec::HttpProbe, at: Place<'_>, errors: &mut Errors) -> Option<Self> {
        let statuses = at.key("status");
        if spec.expect_statuses.is_empty() {
            errors.add(statuses, "no status would be good");
        }
        for (index, (low, high)) in spec.expect_statuses.iter().enumerate() {
            if low > high || !STATUSES.contains(low) || !STATUSES.contains(high) {
                let at = statuses.item(index, spec.expect_statuses.len());
                errors.add(at, "is no range of statuses: 100 to 599, the lower one first");
            }
        }
        if spec.expect_body.is_some() && spec.method == ProbeMethod::Head {
            errors.add(at.key("body"), "the answer to HEAD has none: write `method: GET`");
        }
        let body_at = at.key("body");
        let body = match &spec.expect_body {
            None => Some(None),
            Some(BodyTest::Text(text)) => compiled(&regex::escape(text), body_at, errors).map(Some),
            Some(BodyTest::Regex(regex)) => compiled(regex, body_at.key("regex"), errors).map(Some),
        };
        let headers = at.key("headers");
        let mut build = |(name, test): &(String, spec::HeaderTest)| {
            let at = headers.key(name);
            let test = match test {
                spec::HeaderTest::Present(present) => Some(HeaderTest::Present(*present)),
                spec::HeaderTest::Pattern(pattern) => {
                    compiled(&glob(pattern), at, errors).map(HeaderTest::Matches)
                }
                spec::HeaderTest::Regex(regex) => {
                    compiled(regex, at.key("regex"), errors).map(HeaderTest::Matches)
                }
            };
            test.map(|test| (name.as_str().into(), test))
        };
        // Every one of them is built, so that all that is wrong is said.
        let headers: Vec<_> = spec.expect_headers.iter().map(&mut build).collect();
        Some(Self {
            statuses: spec.expect_statuses.clone(),
            headers: headers.into_iter().collect::<Option<_>>()?,
            body: body?,
        })
    }

    /// Whether the body matters.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.body.is_some()
    }

    /// Whether a head is as it has to be.
    pub fn head(&self, head: &Head) -> Result<(), Mismatch> {
        let status = head.status();
        if !self.statuses.iter().any(|&(low, high)| (low..=high).contains(&status)) {
            return Err(Mismatch::Status(status));
        }
        let differs = self.headers.iter().find(|(name, test)| {
            let mut values = head
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
                .map(|(_, value)| value);
            match test {
                HeaderTest::Present(wanted) => values.next().is_some() != *wanted,
                HeaderTest::Matches(regex) => !values.any(|value| regex.is_match(value)),
            }
        });
        differs.map_or(Ok(()), |(name, _)| Err(Mismatch::Header(name.clone())))
    }

    /// Whether a body is as it has to be.
    pub fn body(&self, body: &[u8]) -> Result<(), Mismatch> {
        match &self.body {
            Some(regex) if !regex.is_match(body) => Err(Mismatch::Body),
            _ => Ok(()),
        }
    }
}

fn compiled(pattern: &str, at: Place<'_>, errors: &mut Errors) -> Option<Regex> {
    let regex = Regex::new(pattern);
    errors.take(at, regex.map_err(|error| format!("regex {pattern:?}: {}", one_line(&error))))
}

/// `*` is anything.
fn glob(pattern: &str) -> String {
    let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
    format!("(?s-u)^{}$", parts.join(".*"))
}
