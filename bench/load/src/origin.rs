//! An HTTP/1.1 server that costs little: `/` answers with `--bytes`, `/bytes/N` with N, `/slow/N` with N bytes
//! over N seconds' trickle; request bodies are read and counted.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Fault;

pub(crate) struct Options {
    bind: String,
    name: String,
    bytes: usize,
    delay: Duration,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self, Fault> {
        use lexopt::prelude::*;
        let mut options =
            Self { bind: "127.0.0.1:0".into(), name: "origin".into(), bytes: 128, delay: Duration::ZERO };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("name") => options.name = arguments.value()?.string()?,
                Long("bytes") => options.bytes = arguments.value()?.parse()?,
                Long("delay-ms") => options.delay = Duration::from_millis(arguments.value()?.parse()?),
                Value(bind) => options.bind = bind.string()?,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

pub(crate) async fn run(options: Options) -> Result<(), Fault> {
    let address: std::net::SocketAddr = options.bind.parse()?;
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener: TcpListener = socket.listen(4096)?;
    println!("listening {}", listener.local_addr()?);
    let options = Rc::new(options);
    // One for all: a megabyte a connection would be the origin's own load.
    let body: Rc<[u8]> = vec![b'o'; 1 << 20].into();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let options = Rc::clone(&options);
        let body = Rc::clone(&body);
        tokio::task::spawn_local(async move {
            // A peer that goes away is no fault of an origin.
            let _ = serve(stream, &options, &body).await;
        });
    }
}

struct Request {
    head: usize,
    length: usize,
    bytes: usize,
    seconds: Option<u64>,
    close: bool,
}

fn parse(buffer: &[u8], default: usize) -> Option<Request> {
    let head = memchr::memmem::find(buffer, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]);
    let path = text.split(' ').nth(1).unwrap_or("/");
    let number = |prefix: &str| path.strip_prefix(prefix).and_then(|rest| rest.parse().ok());
    let seconds = number("/slow/").map(|seconds: usize| seconds as u64);
    let mut request =
        Request { head, length: 0, bytes: number("/bytes/").unwrap_or(default), seconds, close: false };
    for line in text.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            request.length = value.trim().parse().unwrap_or(0);
        } else if name.eq_ignore_ascii_case("connection") {
            request.close = value.trim().eq_ignore_ascii_case("close");
        }
    }
    Some(request)
}

async fn serve(mut stream: TcpStream, options: &Options, body: &[u8]) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    let mut answer = Vec::new();
    loop {
        let Some(request) = parse(&buffer[..filled], options.bytes) else {
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Ok(());
            }
            filled += read;
            continue;
        };
        let here = (filled - request.head).min(request.length);
        buffer.copy_within(request.head + here..filled, 0);
        filled -= request.head + here;
        let mut left = request.length - here;
        while left > 0 {
            let room = buffer.len().min(left);
            let read = stream.read(&mut buffer[..room]).await?;
            if read == 0 {
                return Ok(());
            }
            left -= read;
        }
        if !options.delay.is_zero() {
            tokio::time::sleep(options.delay).await;
        }
        answer.clear();
        let length = request.seconds.map_or(request.bytes, |seconds| usize::try_from(seconds).unwrap_or(0));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX-Backend: {}\r\n", options.name);
        answer.extend_from_slice(head.as_bytes());
        answer.extend_from_slice(if request.close { b"Connection: close\r\n\r\n" } else { b"\r\n" });
        if let Some(seconds) = request.seconds {
            trickle(&mut stream, &answer, seconds).await?;
        } else {
            write(&mut stream, &mut answer, body, length).await?;
        }
        if request.close {
            return Ok(());
        }
    }
}

async fn write(
    stream: &mut TcpStream,
    answer: &mut Vec<u8>,
    body: &[u8],
    length: usize,
) -> std::io::Result<()> {
    let first = length.min(16 * 1024);
    answer.extend_from_slice(&body[..first]);
    stream.write_all(answer).await?;
    let mut left = length - first;
    while left > 0 {
        let part = left.min(body.len());
        stream.write_all(&body[..part]).await?;
        left -= part;
    }
    Ok(())
}

async fn trickle(stream: &mut TcpStream, head: &[u8], seconds: u64) -> std::io::Result<()> {
    stream.write_all(head).await?;
    for _ in 0..seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stream.write_all(b"s").await?;
    }
    Ok(())
}
