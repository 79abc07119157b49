//! A frame: a length in four bytes, most significant first, and as many bytes of JSON.

use std::io;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A Plan with ten thousand routes is a tenth of it.
const MAX: usize = 64 * 1024 * 1024;

/// The next frame's text; `None` at the end between two frames.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if from.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..]).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
    }
    let mut text = Vec::new();
    // Grows as bytes come: a length alone takes no memory.
    from.take(length as u64).read_to_end(&mut text).await?;
    if text.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(text)) }
}

/// Sends a value as one frame.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    to.write_all(&frame).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn what_is_written_is_read() {
        let sent = [json!({"id": 1, "call": "stats"}), json!("é"), json!([])];
        let mut wire = Vec::new();
        block(async {
            for value in &sent {
                write(&mut wire, value).await.unwrap();
            }
            let mut from = wire.as_slice();
            for value in &sent {
                let text = read(&mut from).await.unwrap().unwrap();
                assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), *value);
            }
            assert!(read(&mut from).await.unwrap().is_none());
        });
    }

    #[test]
    fn a_frame_that_ends_early_is_an_error() {
        for cut in [&b"\0\0"[..], b"\0\0\0\x05{}"] {
            let error = block(read(&mut &*cut)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_before_it_is_read() {
        let error = block(read(&mut &b"\xff\xff\xff\xff"[..])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
