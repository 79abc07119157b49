//! Requests (RFC 9113 8.3.1), and extended CONNECT (RFC 8441).

use super::extent::Extent;
use super::fields::{self, Fields, check_value};
use crate::head::{Head, Version};
use crate::host;
use crate::http1::parse::expects_continue;
use crate::http1::{Framing, Limits};
use crate::name::Known;
use crate::refusal::Refusal;
use crate::syntax::{self, TOKEN};

const CLAUSE: &str = "RFC 9113 8.3.1";

/// A request's head, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// How long the body is.
    pub extent: Extent,
    /// The client waits for a 100 before it sends the body; false when there is no body to wait with.
    pub expect_continue: bool,
    /// It was an extended CONNECT. The head is that of the upgrade it stands for, without the key that a WebSocket's
    /// needs besides; the stream's data is what is tunnelled.
    pub upgrade: bool,
}

/// What is said where requests are read.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// How large a head may be: bytes are counted as RFC 9113 6.5.2 does, 32 for each field besides its own, and crumbs of
    /// a cookie as one field.
    pub limits: &'a Limits,
    /// Clients were told that they may use extended CONNECT (RFC 8441 3). To others it is malformed.
    pub extended_connect: bool,
}

/// Reads a request from its fields in the order they came, pseudo-header fields among them. `ends`: the stream ends with
/// them.
///
/// A refused request leaves in `head` what was read before the fault, for the log. Status 400 means that it is malformed
/// (RFC 9113 8.1.1); others are refused as HTTP/1.1's are.
pub fn read<'a>(
    list: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ends: bool,
    terms: Terms<'_>,
    head: &mut Head,
) -> Result<Request, Refusal> {
    let mut fields = Fields::new(head, terms.limits);
    let mut pseudo = Pseudo::default();
    let mut begun = false;
    let mut hosts = Hosts::default();
    for (name, value) in list {
        fields.charge(name, value)?;
        if let [b':', name @ ..] = name {
            if begun {
                return Err(Refusal::malformed("pseudo-header field after others", "RFC 9113 8.3"));
            }
            pseudo.take(name, value, terms)?;
            continue;
        }
        if !begun {
            pseudo.begin(fields.head)?;
            begun = true;
        }
        let known = fields.check(name, value)?;
        if known != Some(Known::Host) {
            fields.add(name, value, known)?;
        } else if hosts.is_first_of(&pseudo, value)? {
            fields.add(b"Host", value, known)?;
        }
    }
    if !begun {
        pseudo.begin(fields.head)?;
    }
    fields.finish();
    conclude(&pseudo, &fields, ends)
        .and_then(|request| Ok(Request { expect_continue: expects(fields.head, request.extent)?, ..request }))
}

fn conclude(pseudo: &Pseudo<'_>, fields: &Fields<'_>, ends: bool) -> Result<Request, Refusal> {
    if fields.head.authority().is_empty() {
        return Err(Refusal::malformed("no host", CLAUSE));
    }
    let upgrade = pseudo.protocol.is_some();
    if upgrade && fields.length.is_some() {
        return Err(Refusal::malformed("Content-Length of a tunnel", "RFC 9110 9.3.6"));
    }
    let extent = if upgrade { Extent::None } else { Extent::new(fields.length, ends)? };
    Ok(Request { extent, expect_continue: false, upgrade })
}

fn expects(head: &mut Head, extent: Extent) -> Result<bool, Refusal> {
    Ok(expects_continue(head)? && !matches!(extent, Extent::None | Extent::Length(0)))
}

/// The pseudo-header fields of a request.
#[derive(Debug, Default)]
struct Pseudo<'a> {
    method: Option<&'a [u8]>,
    scheme: Option<&'a [u8]>,
    authority: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
}

impl<'a> Pseudo<'a> {
    /// Takes one by its name without the colon.
    fn take(&mut self, name: &[u8], value: &'a [u8], terms: Terms<'_>) -> Result<(), Refusal> {
        let place = match name {
            b"method" => &mut self.method,
            b"scheme" => &mut self.scheme,
            b"authority" => &mut self.authority,
            b"path" => &mut self.path,
            b"protocol" if terms.extended_connect => &mut self.protocol,
            _ => return Err(Refusal::malformed("unknown pseudo-header field", "RFC 9113 8.3")),
        };
        check_value(value)?;
        if place.replace(value).is_some() {
            return Err(Refusal::malformed("pseudo-header field sent twice", "RFC 9113 8.3"));
        }
        Ok(())
    }

    /// All of them are there: begins the head with what they say.
    fn begin(&self, head: &mut Head) -> Result<(), Refusal> {
        let method = self.method.ok_or(Refusal::malformed("no :method", CLAUSE))?;
        if !syntax::all(TOKEN, method) {
            return Err(Refusal::malformed("method isn't a token", "RFC 9110 9.1"));
        }
        // For the log, should anything else be refused.
        head.start_request(method, &[], Version::Http2);
        if let Some(authority) = self.authority {
            if authority.is_empty() {
                return Err(Refusal::malformed("empty :authority", CLAUSE));
            }
            host::check(authority)?;
        }
        if method == b"CONNECT" && self.protocol.is_none() {
            return Err(self.plain_connect());
        }
        self.check_scheme()?;
        let path = self.checked_path(method)?;
        let method = match self.protocol {
            None => method,
            Some(_) if method != b"CONNECT" => {
                return Err(Refusal::malformed(":protocol without CONNECT", "RFC 8441 4"));
            }
            Some(_) if self.authority.is_none() => {
                return Err(Refusal::malformed("CONNECT without :authority", "RFC 8441 4"));
            }
            Some(protocol) if !syntax::all(TOKEN, protocol) => {
                return Err(Refusal::malformed(":protocol isn't a token", "RFC 8441 4"));
            }
            Some(_) => b"GET",
        };
        head.start_request(method, path, Version::Http2);
        if let Some(authority) = self.authority {
            head.append(b"Host", authority);
        }
        if let Some(protocol) = self.protocol {
            head.append(b"Connection", b"upgrade");
            head.append(b"Upgrade", protocol);
        }
        Ok(())
    }

    /// Why a CONNECT to a host (RFC 9113 8.5) is refused: malformed, or not offered here.
    fn plain_connect(&self) -> Refusal {
        if self.scheme.is_some() || self.path.is_some() || self.authority.is_none() {
            return Refusal::malformed("CONNECT isn't for a host alone", "RFC 9113 8.5");
        }
        Refusal::with_status(405, "CONNECT isn't offered", "RFC 9110 9.3.6")
    }

    fn check_scheme(&self) -> Result<(), Refusal> {
        let scheme = self.scheme.ok_or(Refusal::malformed("no :scheme", CLAUSE))?;
        // Which of the two is the client's to say: it may not know that TLS ends before Fairlead.
        if scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https") {
            return Ok(());
        }
        Err(Refusal::malformed("scheme is neither http nor https", CLAUSE))
    }

    fn checked_path(&self, method: &[u8]) -> Result<&'a [u8], Refusal> {
        let path = self.path.ok_or(Refusal::malformed("no :path", CLAUSE))?;
        match path {
            [] => Err(Refusal::malformed("empty :path", CLAUSE)),
            b"*" if method == b"OPTIONS" => Ok(path),
            b"*" => Err(Refusal::malformed("asterisk-form without OPTIONS", CLAUSE)),
            [b'/', ..] if syntax::path_length(path).is_some() => Ok(path),
            [b'/', ..] => Err(Refusal::malformed("invalid character in the target", CLAUSE)),
            _ => Err(Refusal::malformed(":path doesn't begin with a slash", CLAUSE)),
        }
    }
}

/// `host` beside `:authority`.
#[derive(Debug, Default)]
struct Hosts {
    seen: bool,
}

impl Hosts {
    /// Checks a `host` field, and says whether it is the request's host. Beside an `:authority` it is only allowed to say
    /// the same (RFC 9113 8.3.1).
    fn is_first_of(&mut self, pseudo: &Pseudo<'_>, value: &[u8]) -> Result<bool, Refusal> {
        if std::mem::replace(&mut self.seen, true) {
            return Err(Refusal::malformed("more than one Host", "RFC 9112 3.2"));
        }
        host::check(value)?;
        let Some(authority) = pseudo.authority else { return Ok(true) };
        let of_scheme = |host| without_default_port(host, pseudo.scheme.unwrap_or_default());
        if of_scheme(authority).eq_ignore_ascii_case(of_scheme(value)) {
            return Ok(false);
        }
        Err(Refusal::malformed("host differs from :authority", CLAUSE))
    }
}

fn without_default_port<'a>(host: &'a [u8], scheme: &[u8]) -> &'a [u8] {
    let port: &[u8] = if scheme.eq_ignore_ascii_case(b"https") { b":443" } else { b":80" };
    // An address in brackets can't end in a port, and without brackets it is no host.
    host.strip_suffix(port).or_else(|| host.strip_suffix(b":")).unwrap_or(host)
}

/// Gives `field` a request's fields in the order they are sent, pseudo-header fields first. What concerns the connection it
/// came on has been removed, but is left out in any case.
pub fn write(
    head: &Head,
    scheme: &[u8],
    framing: Framing,
    scratch: &mut Vec<u8>,
    mut field: impl FnMut(&[u8], &[u8]),
) {
    field(b":method", head.method());
    field(b":scheme", scheme);
    // RFC 9113 8.3.1: an intermediary makes it of Host. An HTTP/1.0 request may have none.
    if !head.authority().is_empty() {
        field(b":authority", head.authority());
    }
    field(b":path", head.path_and_query());
    fields::write(head, framing, scratch, &mut field);
}
