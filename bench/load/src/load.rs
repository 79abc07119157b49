//! Requests over a number of connections, in an open loop (each due at its time, however slow the answers are)
//! or in a closed one (the next when the last was answered).

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::Fault;
use crate::report::Tally;
use crate::response::Reader;

/// What to send, how much of it and how fast.
pub(crate) struct Options {
    target: SocketAddr,
    connections: u32,
    /// Requests a second over all connections; `None` is a closed loop.
    rate: Option<f64>,
    duration: Option<Duration>,
    requests: Option<u64>,
    close: bool,
    body: Vec<u8>,
    post: bool,
    path: String,
    host: String,
    /// `HOST PATH` lines, taken in turn.
    targets: Vec<(String, String)>,
    count_header: Option<String>,
    /// Statuses from here on are failures.
    failing_status: u16,
    timeout: Duration,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self, Fault> {
        use lexopt::prelude::*;
        let mut options = Self {
            target: SocketAddr::from(([127, 0, 0, 1], 0)),
            connections: 64,
            rate: None,
            duration: None,
            requests: None,
            close: false,
            body: Vec::new(),
            post: false,
            path: "/".into(),
            host: "load.example".into(),
            targets: Vec::new(),
            count_header: None,
            failing_status: 400,
            timeout: Duration::from_secs(30),
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("connections") => options.connections = arguments.value()?.parse()?,
                Long("rate") => options.rate = Some(arguments.value()?.parse()?),
                Long("seconds") => {
                    options.duration = Some(Duration::from_secs_f64(arguments.value()?.parse()?));
                }
                Long("requests") => options.requests = Some(arguments.value()?.parse()?),
                Long("close") => options.close = true,
                Long("post") => {
                    options.post = true;
                    options.body = vec![b'x'; arguments.value()?.parse()?];
                }
                Long("path") => options.path = arguments.value()?.string()?,
                Long("host") => options.host = arguments.value()?.string()?,
                Long("targets") => options.targets = targets(&arguments.value()?.string()?)?,
                Long("count-header") => options.count_header = Some(arguments.value()?.string()?),
                Long("failing-status") => options.failing_status = arguments.value()?.parse()?,
                Long("timeout") => options.timeout = Duration::from_secs_f64(arguments.value()?.parse()?),
                Value(target) => options.target = target.string()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        if options.duration.is_none() && options.requests.is_none() {
            return Err("say how long: --seconds S or --requests N".into());
        }
        Ok(options)
    }

    fn request(&self, number: u64) -> Vec<u8> {
        let (host, path) = match self.targets.len() {
            0 => (&self.host, &self.path),
            count => {
                let (host, path) = &self.targets[usize::try_from(number).unwrap_or(0) % count];
                (host, path)
            }
        };
        let method = if self.post { "POST" } else { "GET" };
        let length =
            if self.post { format!("Content-Length: {}\r\n", self.body.len()) } else { String::new() };
        let close = if self.close { "Connection: close\r\n" } else { "" };
        let common = "User-Agent: load\r\nAccept: */*\r\n";
        let bytes = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{common}{length}{close}\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn targets(file: &str) -> Result<Vec<(String, String)>, Fault> {
    let text = std::fs::read_to_string(file)?;
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs.map(|(host, path)| (host.to_owned(), path.to_owned())).collect())
}

/// Runs the load and prints the report.
pub(crate) async fn run(options: Options) -> Result<(), Fault> {
    let options = Rc::new(options);
    let tally = Rc::new(RefCell::new(Tally::new()));
    let began = Instant::now();
    let mut clients = Vec::new();
    for index in 0..options.connections {
        clients.push(tokio::task::spawn_local(client(index, began, Rc::clone(&options), Rc::clone(&tally))));
    }
    for client in clients {
        client.await?;
    }
    let tally = Rc::into_inner(tally).ok_or("a client is still running")?.into_inner();
    println!("{}", serde_json::to_string(&tally.report(began.elapsed()))?);
    Ok(())
}

struct Client {
    options: Rc<Options>,
    reader: Reader,
    stream: Option<TcpStream>,
}

async fn client(index: u32, began: Instant, options: Rc<Options>, tally: Rc<RefCell<Tally>>) {
    let gap = options.rate.map(|rate| Duration::from_secs_f64(f64::from(options.connections) / rate));
    // Spread over the first gap, so that the load is even from the start.
    let offset =
        gap.map_or(Duration::ZERO, |gap| gap.mul_f64(f64::from(index) / f64::from(options.connections)));
    let mut due = began + offset;
    let mut client = Client { options: Rc::clone(&options), reader: Reader::new(128 * 1024), stream: None };
    let end = options.duration.map(|duration| began + duration);
    let reusable = options.targets.is_empty().then(|| options.request(0));
    loop {
        let now = Instant::now();
        if gap.is_none() {
            due = now;
        } else if due > now {
            tokio::time::sleep_until(due.into()).await;
        }
        if end.is_some_and(|end| due >= end) {
            return;
        }
        let number = {
            let mut tally = tally.borrow_mut();
            if options.requests.is_some_and(|most| tally.started >= most) {
                return;
            }
            tally.started += 1;
            tally.late += u64::from(gap.is_some_and(|gap| now > due + gap));
            tally.started
        };
        let made;
        let bytes = if let Some(bytes) = &reusable {
            bytes
        } else {
            made = options.request(number);
            &made
        };
        let outcome = tokio::time::timeout(options.timeout, client.exchange(bytes)).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")));
        settle(&mut tally.borrow_mut(), &mut client, outcome, due);
        if let Some(gap) = gap {
            due += gap;
        }
    }
}

fn settle(
    tally: &mut Tally,
    client: &mut Client,
    outcome: io::Result<crate::response::Answer>,
    due: Instant,
) {
    match outcome {
        Ok(answer) => {
            tally.latency.record(due.elapsed());
            *tally.statuses.entry(answer.status).or_insert(0) += 1;
            tally.body_bytes += answer.body_bytes;
            if let Some(label) = answer.label {
                *tally.labels.entry(label).or_insert(0) += 1;
            }
            if answer.status >= client.options.failing_status {
                tally.fail(format!("status {}", answer.status));
            }
            if client.options.close || !answer.keep_alive {
                client.stream = None;
            }
        }
        Err(fault) => {
            client.stream = None;
            client.reader = Reader::new(128 * 1024);
            tally.fail(format!("{:?}: {fault}", fault.kind()));
        }
    }
}

impl Client {
    async fn exchange(&mut self, bytes: &[u8]) -> io::Result<crate::response::Answer> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.options.target).await?;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        stream.write_all(bytes).await?;
        self.reader.answer(stream, self.options.count_header.as_deref()).await
    }
}
