//! What can go wrong that somebody outside is told: whose fault, which object, what to do.

use fairlead_plan::SpecError;
use serde::Serialize;

/// Why an engine doesn't start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub(crate) String);

impl StartError {
    pub(crate) fn new(what: impl std::fmt::Display) -> Self {
        Self(what.to_string())
    }
}

/// Why a call changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", shown(.errors))]
pub struct CallError {
    /// Whose fault it is.
    pub kind: CallErrorKind,
    /// Everything that is wrong, at least one thing.
    pub errors: Vec<Problem>,
}

/// Whose fault it is that a call changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallErrorKind {
    /// The caller's: what was asked for can't be.
    Refused,
    /// Nobody's: it can be, but only by an engine that is started anew.
    RestartNeeded,
    /// The engine's own.
    Internal,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where in the configuration; empty if it is no place in it.
    pub path: Vec<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl From<SpecError> for Problem {
    fn from(SpecError { path, message }: SpecError) -> Self {
        Self { path, message }
    }
}

impl CallError {
    pub(crate) fn refused(errors: Vec<Problem>) -> Self {
        Self { kind: CallErrorKind::Refused, errors }
    }

    pub(crate) fn refused_at(path: &[&str], message: impl std::fmt::Display) -> Self {
        Self::one(CallErrorKind::Refused, path, message)
    }

    pub(crate) fn restart_needed(path: &[&str], message: impl std::fmt::Display) -> Self {
        Self::one(CallErrorKind::RestartNeeded, path, message)
    }

    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        Self::one(CallErrorKind::Internal, &[], message)
    }

    fn one(kind: CallErrorKind, path: &[&str], message: impl std::fmt::Display) -> Self {
        let path = path.iter().map(|&key| key.to_owned()).collect();
        Self { kind, errors: vec![Problem { path, message: message.to_string() }] }
    }
}

impl From<Vec<SpecError>> for CallError {
    fn from(errors: Vec<SpecError>) -> Self {
        Self::refused(errors.into_iter().map(Problem::from).collect())
    }
}

fn shown(errors: &[Problem]) -> String {
    let lines: Vec<String> = errors
        .iter()
        .map(
            |Problem { path, message }| {
                if path.is_empty() { message.clone() } else { format!("{}: {message}", path.join(".")) }
            },
        )
        .collect();
    lines.join("; ")
}
