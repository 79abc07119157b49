//! Opens connections, sends one request on each, and holds them open until standard input closes.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Fault;
use crate::response::Reader;

pub(crate) struct Options {
    target: SocketAddr,
    connections: usize,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self, Fault> {
        use lexopt::prelude::*;
        let mut options = Self { target: SocketAddr::from(([127, 0, 0, 1], 0)), connections: 1000 };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("connections") => options.connections = arguments.value()?.parse()?,
                Value(target) => options.target = target.string()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

pub(crate) async fn run(options: Options) -> Result<(), Fault> {
    let mut held = Vec::with_capacity(options.connections);
    for _ in 0..options.connections {
        let mut stream = TcpStream::connect(options.target).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: load.example\r\n\r\n").await?;
        Reader::new(4096).answer(&mut stream, None).await?;
        held.push(stream);
    }
    println!("open {}", held.len());
    let mut input = [0; 64];
    // Blocking is what it does: nothing else runs here.
    while std::io::Read::read(&mut std::io::stdin(), &mut input)? > 0 {}
    let mut byte = [0; 1];
    let mut alive = 0_usize;
    for stream in &mut held {
        let read = tokio::time::timeout(std::time::Duration::from_millis(1), stream.read(&mut byte)).await;
        alive += usize::from(read.is_err());
    }
    println!("alive {alive}");
    Ok(())
}
