//! A check by a request.

use std::cell::Cell;

use fairlead_plan::HttpProbe;
use fairlead_plan::spec::BackendAddress;
use fairlead_wire::Head;
use fairlead_wire::http1::{Decoder, Limits, Response, Scan, parse};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Failure, Stage, Success};

/// As strict as with an answer to a client's request.
const LIMITS: Limits = Limits { max_bytes: 64 * 1024, max_fields: 128 };
/// As much of a body is looked at.
const MAX_BODY: usize = 64 * 1024;
/// Of interim answers; a request gets one or two.
const MOST_INTERIM: u32 = 10;
/// Most answers to checks, head and body.
const USUAL: usize = 1024;

/// Sends the request, behind what comes before everything else, and judges its answer: by its head alone, unless something is expected of the body.
pub(super) async fn ask(
    probe: &HttpProbe,
    preface: &[u8],
    address: &BackendAddress,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    stage: &Cell<Stage>,
) -> Result<Success, Failure> {
    let mut bytes = Vec::with_capacity(USUAL);
    bytes.extend_from_slice(preface);
    probe.write(address, &mut bytes);
    stream.write_all(&bytes).await?;
    bytes.clear();
    let mut head = Head::new();
    let response = receive_head(probe.method(), stream, &mut bytes, &mut head).await?;
    probe.expect.head(&head).map_err(Failure::Mismatch)?;
    if probe.expect.needs_body() {
        stage.set(Stage::Reading);
        bytes.drain(..response.len);
        let body = receive_body(response, stream, bytes).await?;
        probe.expect.body(&body).map_err(Failure::Mismatch)?;
    }
    Ok(Success::Status(head.status()))
}

/// The head of the final answer; interim ones (RFC 9110 15.2) say nothing.
async fn receive_head(
    method: &[u8],
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    head: &mut Head,
) -> Result<Response, Failure> {
    let mut scan = Scan::default();
    let mut interim = 0;
    loop {
        if stream.read_buf(bytes).await? == 0 {
            return Err(Failure::Closed);
        }
        while let Some(response) =
            parse::response(bytes, &mut scan, &LIMITS, method, head).map_err(Failure::Malformed)?
        {
            if head.status() >= 200 || response.upgrade {
                return Ok(response);
            }
            interim += 1;
            if interim > MOST_INTERIM {
                return Err(Failure::Interim);
            }
            bytes.drain(..response.len);
        }
        if bytes.len() >= LIMITS.max_bytes {
            return Err(Failure::TooLarge);
        }
    }
}

/// The body, or as much of it as is looked at.
async fn receive_body(
    response: Response,
    stream: &mut (impl AsyncRead + Unpin),
    mut bytes: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    let mut decoder = Decoder::new(response.body, LIMITS);
    let mut body = Vec::new();
    loop {
        let mut used = 0;
        loop {
            let input = &bytes[used..];
            let step = decoder.decode(input).map_err(Failure::Malformed)?;
            body.extend_from_slice(&input[step.data]);
            used += step.consumed;
            if step.done || body.len() >= MAX_BODY {
                body.truncate(MAX_BODY);
                return Ok(body);
            }
            if step.consumed == 0 {
                break;
            }
        }
        bytes.drain(..used);
        if stream.read_buf(&mut bytes).await? == 0 {
            decoder.finish().map_err(Failure::Malformed)?;
            return Ok(body);
        }
    }
}
