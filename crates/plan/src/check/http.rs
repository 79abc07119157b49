//! The request of a check.

use super::expect::Expectation;
use crate::error::{Errors, Place};
use crate::spec::{self, BackendAddress, ProbeMethod};

/// By what a check's requests are known in a backend's log.
const USER_AGENT: &str = concat!("fairlead-health/", env!("CARGO_PKG_VERSION"));

/// What an answer's framing hangs on is ours alone to write.
const OURS: [&str; 6] = ["Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Expect"];

/// A request, ready but for the name of the host, and what its answer has to be.
#[derive(Debug)]
pub struct HttpProbe {
    method: ProbeMethod,
    /// Up to the value of `Host`.
    before: Box<str>,
    /// `None`: the backend's address.
    host: Option<Box<str>>,
    after: Box<str>,
    /// What the answer has to be.
    pub expect: Expectation,
}

impl HttpProbe {
    pub(super) fn build(spec: &spec::HttpProbe, at: Place<'_>, errors: &mut Errors) -> Option<Self> {
        check(spec, at, errors);
        let expect = Expectation::build(spec, at.key("expect"), errors)?;
        let method = match spec.method {
            ProbeMethod::Get => "GET",
            ProbeMethod::Head => "HEAD",
        };
        let named = |wanted: &str| spec.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let mut after = String::from("\r\nConnection: close\r\n");
        for (name, value) in [("User-Agent", USER_AGENT), ("Accept", "*/*")] {
            if !named(name) {
                after.extend([name, ": ", value, "\r\n"]);
            }
        }
        for (name, value) in &spec.headers {
            after.extend([name, ": ", value, "\r\n"]);
        }
        after.push_str("\r\n");
        Some(Self {
            method: spec.method,
            before: format!("{method} {} HTTP/1.1\r\nHost: ", spec.path).into(),
            host: spec.host.as_deref().map(Into::into),
            after: after.into(),
            expect,
        })
    }

    /// The method, by which the answer is read.
    #[must_use]
    pub fn method(&self) -> &'static [u8] {
        match self.method {
            ProbeMethod::Get => b"GET",
            ProbeMethod::Head => b"HEAD",
        }
    }

    /// Appends the request to `out`, as it is sent to a backend that is asked at `address`.
    pub fn write(&self, address: &BackendAddress, out: &mut Vec<u8>) {
        out.extend_from_slice(self.before.as_bytes());
        match (&self.host, address) {
            (Some(host), _) => out.extend_from_slice(host.as_bytes()),
            (None, BackendAddress::Ip(address)) => out.extend_from_slice(address.to_string().as_bytes()),
            // RFC 9112 3.2 wants a value, even where nothing has a name.
            (None, BackendAddress::Unix(_)) => out.extend_from_slice(b"localhost"),
        }
        out.extend_from_slice(self.after.as_bytes());
    }
}

/// Nothing of it may end a line or a word where none ends: what is sent is one request.
fn check(spec: &spec::HttpProbe, at: Place<'_>, errors: &mut Errors) {
    let is_visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !spec.path.starts_with('/') || !is_visible(&spec.path) || spec.path.contains('#') {
        let message =
            "must begin with \"/\" and have only visible ASCII characters without \"#\": write others as %XX";
        errors.add(at.key("path"), message);
    }
    if spec.host.as_deref().is_some_and(|host| !is_visible(host)) {
        errors.add(at.key("host"), "must be a name or an address");
    }
    let at = at.key("headers");
    for (name, value) in &spec.headers {
        let at = at.key(name);
        if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            let hint = if name.eq_ignore_ascii_case("host") { ": write `host`" } else { "" };
            errors.add(at, format_args!("is set by the check itself{hint}"));
        } else if !name.bytes().all(is_token) || name.is_empty() {
            errors.add(at, "is no name of a header");
        } else if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
            || value.trim_ascii() != value
        {
            errors.add(at, "has characters that can't be sent, or spaces around it");
        }
    }
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
