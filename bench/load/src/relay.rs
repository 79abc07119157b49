//! The floor: accept, connect, pump bytes both ways. No HTTP, no pool, no timeout.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Fault;

pub(crate) struct Options {
    bind: SocketAddr,
    target: SocketAddr,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self, Fault> {
        let bind = arguments.value()?.into_string().map_err(|_| "BIND is no address")?.parse()?;
        let target = arguments.value()?.into_string().map_err(|_| "TARGET is no address")?.parse()?;
        Ok(Self { bind, target })
    }
}

pub(crate) async fn run(options: Options) -> Result<(), Fault> {
    let listener = TcpListener::bind(options.bind).await?;
    println!("listening {}", listener.local_addr()?);
    loop {
        let (client, _) = listener.accept().await?;
        let target = options.target;
        tokio::task::spawn_local(async move {
            // Whatever ends one connection is no matter to the others.
            let _ = relay(client, target).await;
        });
    }
}

async fn relay(mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut origin = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    origin.set_nodelay(true)?;
    let (mut client_read, mut client_write) = client.split();
    let (mut origin_read, mut origin_write) = origin.split();
    let up = pump(&mut client_read, &mut origin_write);
    let down = pump(&mut origin_read, &mut client_write);
    tokio::try_join!(up, down)?;
    Ok(())
}

async fn pump<R, W>(from: &mut R, to: &mut W) -> io::Result<()>
where
    R: tokio::io::AsyncRead + Unpin,
    W: tokio::io::AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
