//! The one rule that combines operator, check and traffic. The first row that fits decides:
//!
//! | operator | check | traffic | the backend is | new requests | panic may re-admit it |
//! |---|---|---|---|---|---|
//! | disabled | any | any | disabled | none | no |
//! | draining | any | any | draining | none | no |
//! | none | unproven | any | unproven | none | no |
//! | none | down | refused | down | none | no |
//! | none | down | any | down | none | yes |
//! | none | any | refused | ejected | none | no |
//! | none | any | ejected | ejected | none | yes |
//! | none | any | degraded | degraded | a part | no |
//! | none | any | any | up | all | no |
//!
//! So both must agree that it is well: a good check doesn't end an ejection, and good answers don't lift a failed check.

use crate::standing::State;

/// What an operator has said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operator {
    /// Nothing.
    #[default]
    None,
    /// It is to finish and get nothing new.
    Draining,
    /// It is cut off.
    Disabled,
}

/// What its check says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Active {
    /// Well, or there is no check, or it counts as well until it has a result.
    #[default]
    Up,
    /// No result yet.
    Unproven,
    /// Not well.
    Down,
}

/// What traffic shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passive {
    /// Nothing against it.
    #[default]
    Well,
    /// Worse than the others.
    Degraded,
    /// Failed too often in a row.
    Ejected,
    /// Nobody accepts its connections.
    Refused,
}

/// A row; `None` fits all.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What the operator says.
    pub operator: Option<Operator>,
    /// What the check says.
    pub active: Option<Active>,
    /// What traffic shows.
    pub passive: Option<Passive>,
    /// What the backend is then.
    pub state: State,
    /// Whether a pool in panic sends to it all the same.
    pub panic: bool,
}

const fn row(
    operator: Option<Operator>,
    active: Option<Active>,
    passive: Option<Passive>,
    state: State,
    panic: bool,
) -> Row {
    Row { operator, active, passive, state, panic }
}

/// The rule. Its last row fits all.
pub const TABLE: [Row; 9] = [
    row(Some(Operator::Disabled), None, None, State::Disabled, false),
    row(Some(Operator::Draining), None, None, State::Draining, false),
    row(Some(Operator::None), Some(Active::Unproven), None, State::Unproven, false),
    row(Some(Operator::None), Some(Active::Down), Some(Passive::Refused), State::Down, false),
    row(Some(Operator::None), Some(Active::Down), None, State::Down, true),
    row(Some(Operator::None), None, Some(Passive::Refused), State::Ejected, false),
    row(Some(Operator::None), None, Some(Passive::Ejected), State::Ejected, true),
    row(Some(Operator::None), None, Some(Passive::Degraded), State::Degraded, false),
    row(Some(Operator::None), None, None, State::Up, false),
];

/// What a backend is of which all this is said, and whether panic re-admits it.
#[must_use]
pub fn combine(operator: Operator, active: Active, passive: Passive) -> (State, bool) {
    let fits = |row: &&Row| {
        row.operator.is_none_or(|said| said == operator)
            && row.active.is_none_or(|said| said == active)
            && row.passive.is_none_or(|said| said == passive)
    };
    TABLE.iter().find(fits).map_or((State::Up, false), |row| (row.state, row.panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(said: Option<impl std::fmt::Debug>) -> String {
        said.map_or("any".to_owned(), |said| format!("{said:?}").to_lowercase())
    }

    #[test]
    fn the_documented_tables_are_the_table() {
        let guide = include_str!("../../../../docs/guides/health.md");
        let rows_of = |page: &'static str, mark: &str| -> Vec<&'static str> {
            let (header, row) = (format!("{mark}| operator |"), format!("{mark}| "));
            let table = page.lines().skip_while(move |line| !line.starts_with(&header)).skip(2);
            table.map_while(move |line| line.strip_prefix(&*row)).collect()
        };
        let rows = TABLE.map(|row| {
            let requests = match row.state {
                State::Up => "all",
                State::Degraded => "a part",
                _ => "none",
            };
            format!(
                "{} | {} | {} | {} | {requests} | {} |",
                word(row.operator),
                word(row.active),
                word(row.passive),
                word(Some(row.state)),
                if row.panic { "yes" } else { "no" },
            )
        });
        assert_eq!(rows_of(include_str!("table.rs"), "//! "), rows);
        assert_eq!(rows_of(guide, ""), rows);
    }

    #[test]
    fn only_agreement_is_well() {
        for operator in [Operator::None, Operator::Draining, Operator::Disabled] {
            for active in [Active::Up, Active::Unproven, Active::Down] {
                for passive in [Passive::Well, Passive::Degraded, Passive::Ejected, Passive::Refused] {
                    let (state, panic) = combine(operator, active, passive);
                    let agree = (operator, active, passive) == (Operator::None, Active::Up, Passive::Well);
                    assert_eq!(state == State::Up, agree);
                    let never = operator != Operator::None
                        || active == Active::Unproven
                        || passive == Passive::Refused;
                    assert!(!(panic && never));
                }
            }
        }
    }
}
