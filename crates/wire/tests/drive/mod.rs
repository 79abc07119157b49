//! Reads a whole message as a connection would, in whatever pieces it is cut into.

use fairlead_wire::http1::{Body, Decoder, Limits, Scan, parse};
use fairlead_wire::{Head, Refusal};

/// The limits that a listener has by default.
pub(crate) const LIMITS: Limits = Limits { max_bytes: 64 * 1024, max_fields: 128 };

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side<'a> {
    Request,
    /// An answer to a request of this method.
    Answer(&'a [u8]),
}

/// A message that was read to its end.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) head: Head,
    pub(crate) body: Body,
    pub(crate) persistent: bool,
    pub(crate) expect_continue: bool,
    pub(crate) upgrade: bool,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Option<Head>,
    /// Bytes it took.
    pub(crate) len: usize,
}

/// Where reading ended instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Head(Refusal),
    Body(Refusal),
    /// The body is good so far, and not complete.
    Cut(Refusal),
    /// The head isn't complete.
    Waiting,
}

/// Everything about a message that must not depend on how it was cut.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Events {
    head: Vec<Vec<u8>>,
    facts: (Body, bool, bool, bool),
    data: Vec<u8>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    len: usize,
}

impl Message {
    pub(crate) fn events(&self) -> Events {
        let start: [&[u8]; 6] = [
            self.head.method(),
            self.head.target(),
            self.head.path_and_query(),
            self.head.reason(),
            self.head.path(),
            self.head.query().unwrap_or(b"(none)"),
        ];
        let line = format!("{} {:?}", self.head.status(), self.head.version()).into_bytes();
        let lines = fields(&self.head).into_iter().flat_map(|(name, value)| [name, value]);
        Events {
            head: start.iter().map(|text| text.to_vec()).chain([line]).chain(lines).collect(),
            facts: (self.body, self.persistent, self.expect_continue, self.upgrade),
            data: self.data.clone(),
            trailers: self.trailers.as_ref().map(fields).unwrap_or_default(),
            len: self.len,
        }
    }
}

/// The fields of a head, owned.
pub(crate) fn fields(head: &Head) -> Vec<(Vec<u8>, Vec<u8>)> {
    head.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Reads the first message in `bytes`, which arrive up to each of `cuts` in turn, then to the end.
pub(crate) fn read(side: Side<'_>, bytes: &[u8], cuts: &[usize]) -> Result<Message, Fault> {
    let mut arrivals = cuts.iter().copied().chain([bytes.len()]);
    let (mut message, mut arrived) = read_head(side, bytes, &mut arrivals)?;
    let mut decoder = Decoder::new(message.body, LIMITS);
    loop {
        let step = decoder.decode(&bytes[message.len..arrived]).map_err(Fault::Body)?;
        message.data.extend_from_slice(&bytes[message.len..arrived][step.data.clone()]);
        assert!(step.data.end <= step.consumed, "payload beyond what was consumed");
        message.len += step.consumed;
        if step.done {
            break;
        }
        if step.consumed == 0 || message.len == arrived {
            let Some(next) = arrivals.next() else { break };
            arrived = next;
        }
    }
    decoder.finish().map_err(Fault::Cut)?;
    message.trailers = decoder.trailers().cloned();
    Ok(message)
}

/// Also tells how much has arrived when the head was complete.
fn read_head(
    side: Side<'_>,
    bytes: &[u8],
    arrivals: &mut impl Iterator<Item = usize>,
) -> Result<(Message, usize), Fault> {
    let mut head = Head::new();
    let mut scan = Scan::default();
    for arrived in arrivals {
        let buf = &bytes[..arrived];
        let read = match side {
            Side::Request => parse::request(buf, &mut scan, &LIMITS, &mut head)
                .map(|request| request.map(|r| (r.len, r.body, r.persistent, r.expect_continue, r.upgrade))),
            Side::Answer(method) => parse::response(buf, &mut scan, &LIMITS, method, &mut head)
                .map(|answer| answer.map(|a| (a.len, a.body, a.persistent, false, a.upgrade))),
        };
        if let Some((len, body, persistent, expect_continue, upgrade)) = read.map_err(Fault::Head)? {
            let data = Vec::new();
            let message =
                Message { head, body, persistent, expect_continue, upgrade, data, trailers: None, len };
            return Ok((message, arrived));
        }
    }
    Err(Fault::Waiting)
}
