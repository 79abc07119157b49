//! The access log: what a line is made of, parsed once.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Errors, Place};
use crate::spec;

/// Where requests are logged, how, and how many of them.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLog {
    /// Where the lines go.
    pub target: Target,
    /// What a line looks like.
    pub format: Format,
    /// Share of requests that are logged, 0 to 1.
    pub sample: f64,
}

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The engine's standard output.
    Stdout,
    /// A file, appended to and opened anew by `reopen_logs`.
    File(PathBuf),
}

/// What a line looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// One object a line with every [`Field`] under its name.
    Json,
    /// The "combined" format of the Apache HTTP server.
    Combined,
    /// The operator's own.
    Template(Vec<Token>),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// Written as it is.
    Text(Box<str>),
    /// Replaced by the request's value, `-` where there is none.
    Field(Field),
}

macro_rules! fields {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What can be said of a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Field {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Field {
            /// All of them, in the order of the documentation and of a JSON line.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in templates and JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

fields! {
    /// When the request's first byte came: RFC 3339 with milliseconds, UTC.
    Time = "time",
    /// The client's address; from a trusted peer the one that it forwards for.
    Client = "client",
    /// The method, as received.
    Method = "method",
    /// Path and query, as received.
    Path = "path",
    /// The host asked for, as received.
    Host = "host",
    /// The status of the answer; 0 if none was begun.
    Status = "status",
    /// From the request's first byte to the answer's last, in seconds with microseconds.
    Duration = "duration",
    /// From the request's first byte to its answer's, in seconds with microseconds.
    FirstByte = "first_byte",
    /// What making a connection to the backend took, in seconds with microseconds; nothing if one was kept.
    Connect = "connect",
    /// Bytes of the request's body.
    RequestBytes = "request_bytes",
    /// Bytes of the answer's body.
    ResponseBytes = "response_bytes",
    /// The listener's name.
    Listener = "listener",
    /// The route's id: its name, or a digest of its match.
    Route = "route",
    /// The pool's name.
    Pool = "pool",
    /// The id of the backend that answered, or was tried last.
    Backend = "backend",
    /// How many backends the request was sent to.
    Tries = "tries",
    /// The request id that was received or made.
    RequestId = "request_id",
    /// Why Fairlead answered by itself or cut the answer.
    Reason = "reason",
    /// Whose fault that was: client, upstream, fairlead or network.
    Blame = "blame",
    /// The User-Agent field.
    UserAgent = "user_agent",
    /// The Referer field.
    Referer = "referer",
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// There is no field of this name.
    UnknownField(String),
    /// `{` without its `}`.
    Unclosed,
    /// `}` without its `{`.
    Unopened,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField(name) => {
                let known: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
                write!(out, "unknown field {name:?}: known are {}", known.join(", "))
            }
            Self::Unclosed => out.write_str("\"{\" without its \"}\": a brace itself is written \"{{\""),
            Self::Unopened => out.write_str("\"}\" without its \"{\": a brace itself is written \"}}\""),
        }
    }
}

impl std::error::Error for TemplateError {}

impl AccessLog {
    pub(crate) fn build(spec: &spec::AccessLog, errors: &mut Errors) -> Option<Self> {
        let at = Place::root("access_log");
        if !(0.0..=1.0).contains(&spec.sample) {
            errors.add(at.key("sample"), format_args!("{} is no share between 0 and 1", spec.sample));
        }
        let format = match &spec.format {
            spec::LogFormat::Json => Format::Json,
            spec::LogFormat::Combined => Format::Combined,
            spec::LogFormat::Template(text) => {
                Format::Template(errors.take(at.key("format"), template(text))?)
            }
        };
        let target = spec.path.as_ref().map_or(Target::Stdout, |path| Target::File(path.into()));
        Some(Self { target, format, sample: spec.sample })
    }
}

/// Splits a template: `{field}` is a field, `{{` and `}}` are braces, everything else is text.
pub fn template(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut tokens = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        let after = &rest[at + 1..];
        if let Some(behind) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = behind;
        } else if brace == "}" {
            return Err(TemplateError::Unopened);
        } else {
            let (name, behind) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
            let field = Field::named(name).ok_or_else(|| TemplateError::UnknownField(name.to_owned()))?;
            flush(&mut literal, &mut tokens);
            tokens.push(Token::Field(field));
            rest = behind;
        }
    }
    literal.push_str(rest);
    flush(&mut literal, &mut tokens);
    Ok(tokens)
}

fn flush(literal: &mut String, tokens: &mut Vec<Token>) {
    if !literal.is_empty() {
        tokens.push(Token::Text(std::mem::take(literal).into_boxed_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Token {
        Token::Text(text.into())
    }

    #[test]
    fn template_is_text_and_fields_in_order() {
        let tokens = template("{client} \"{method} {path}\"").expect("a template");
        let expected = [
            Token::Field(Field::Client),
            text(" \""),
            Token::Field(Field::Method),
            text(" "),
            Token::Field(Field::Path),
            text("\""),
        ];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn doubled_braces_are_braces() {
        let tokens = template("{{{status}}} }}{{").expect("a template");
        assert_eq!(tokens, [text("{"), Token::Field(Field::Status), text("} }{")]);
    }

    #[test]
    fn unknown_field_is_refused_with_the_known_ones() {
        let error = template("{clinet}").expect_err("no such field").to_string();
        assert!(error.starts_with("unknown field \"clinet\": known are time, client, method"), "{error}");
        assert!(error.ends_with("user_agent, referer"), "{error}");
    }

    #[test]
    fn lone_braces_are_refused() {
        assert_eq!(template("a { b"), Err(TemplateError::Unclosed));
        assert_eq!(template("a } b"), Err(TemplateError::Unopened));
    }

    #[test]
    fn every_field_is_found_by_its_name() {
        for &field in Field::ALL {
            assert_eq!(Field::named(field.name()), Some(field));
        }
    }
}
