//! One control process' connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::frame;
use super::message::{Asked, Call, Greeting, Hello, More, Reply};
use crate::engine::{Changes, Shared};
use crate::error::CallError;
use crate::telemetry::{self, Event, Stats};

/// How often statistics are sent by themselves.
const PUSH: Duration = Duration::from_secs(1);
/// How often it is looked whether there is something that other nodes are to know.
const TELL: Duration = Duration::from_millis(50);
/// A control process that doesn't say hello within this is none.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// Calls and answers under way at once.
const CALLS: usize = 64;

/// A call of this size, a millisecond's reading, is read elsewhere.
const LARGE: usize = 256 * 1024;

/// What the engine sends.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Push<'a> {
    Hello(Hello<'a>),
    Error(CallError),
    Stats(Box<Stats>),
    Event(Event),
    Affinity(Vec<Changes>),
}

/// A connection on which both have said hello.
pub(super) struct Session {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

/// Says hello and waits for it; `None`: the other one is of another version, and was told so.
pub(super) async fn greet(shared: &Shared, stream: UnixStream) -> io::Result<Option<Session>> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    frame::write(&mut write, &Push::Hello(Hello::of(shared))).await?;
    let greeting =
        timeout(HELLO_PATIENCE, frame::read(&mut read)).await??.ok_or(io::ErrorKind::UnexpectedEof)?;
    let greeting: Greeting = serde_json::from_slice(&greeting)?;
    if let Some(mismatch) = greeting.mismatch() {
        frame::write(&mut write, &Push::Error(mismatch)).await?;
        return Ok(None);
    }
    Ok(Some(Session { read, write }))
}

impl Session {
    /// Speaks with the control process until it goes.
    pub(super) async fn run(self, shared: &Arc<Shared>) -> io::Result<()> {
        let Self { read, mut write } = self;
        let (replies, mut answered) = channel(CALLS);
        let calls = tokio::task::spawn_local(take_calls(Arc::clone(shared), read, replies));
        // Ends with this session, also when that is replaced by a newer one.
        let _calls = AbortOnDrop(calls.abort_handle());
        let mut push = interval(PUSH);
        // Nobody wants the statistics of seconds in which they could not be sent.
        push.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tell = interval(TELL);
        tell.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                reply = answered.recv() => match reply {
                    Some(reply) => frame::write(&mut write, &reply).await?,
                    None => return Ok(()),
                },
                event = shared.events.recv() => frame::write(&mut write, &Push::Event(event)).await?,
                _ = tell.tick() => {
                    let changes = shared.affinity_changes();
                    if !changes.is_empty() {
                        frame::write(&mut write, &Push::Affinity(changes)).await?;
                    }
                }
                _ = push.tick() => {
                    let stats = Box::new(telemetry::collect(shared, false));
                    frame::write(&mut write, &Push::Stats(stats)).await?;
                }
            }
        }
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reads calls until the end. Those that change something run one after the other, in their order, beside this thread;
/// statistics are answered at once.
async fn take_calls(shared: Arc<Shared>, mut read: BufReader<OwnedReadHalf>, replies: Sender<Reply>) {
    let (changes, ordered) = channel(CALLS);
    let _changes = AbortOnDrop(
        tokio::task::spawn_local(change(Arc::clone(&shared), ordered, replies.clone())).abort_handle(),
    );
    while let Ok(Some(text)) = frame::read(&mut read).await {
        let reply = match understood(&shared, text).await {
            Ok((id, Asked::Stats { routes })) => Reply::new(id, Ok(telemetry::collect(&shared, routes))),
            Ok(call) => {
                if changes.send(call).await.is_err() {
                    return;
                }
                continue;
            }
            Err(reply) => reply,
        };
        if replies.send(reply).await.is_err() {
            return;
        }
    }
}

/// A description with thousands of routes takes its time to read: beside this thread, which has others to answer.
async fn understood(shared: &Shared, text: Vec<u8>) -> Result<(u64, Asked), Reply> {
    // No thread comes to be before privileges are dropped: it would have others than those that come after.
    if text.len() < LARGE || shared.must_change_here() {
        return Call::read(&text);
    }
    let read = tokio::task::spawn_blocking(move || Call::read(&text)).await;
    read.unwrap_or_else(|panic| Err(Reply::new(0, Err::<(), _>(CallError::internal(panic)))))
}

async fn change(shared: Arc<Shared>, mut calls: Receiver<(u64, Asked)>, replies: Sender<Reply>) {
    while let Some((id, asked)) = calls.recv().await {
        let own = Arc::clone(&shared);
        let reply = if shared.must_change_here() {
            answer(&own, id, asked)
        } else {
            let done = tokio::task::spawn_blocking(move || answer(&own, id, asked)).await;
            done.unwrap_or_else(|panic| Reply::new(id, Err::<(), _>(CallError::internal(panic))))
        };
        if replies.send(reply).await.is_err() {
            return;
        }
    }
}

fn answer(shared: &Arc<Shared>, id: u64, asked: Asked) -> Reply {
    match asked {
        Asked::Apply(spec) => Reply::new(id, shared.apply(&spec)),
        Asked::Secrets(secrets) => Reply::new(id, shared.secrets(&secrets).map(|()| serde_json::Map::new())),
        Asked::Members(members) => Reply::new(id, shared.members(members).map(|()| serde_json::Map::new())),
        Asked::Restore(verdicts) => {
            shared.restore(verdicts);
            Reply::new(id, Ok(serde_json::Map::new()))
        }
        Asked::Affinity(said) => {
            shared.affinity(&said);
            Reply::new(id, Ok(serde_json::Map::new()))
        }
        Asked::Checked(result) => Reply::new(id, Ok(More { more: shared.told(result) })),
        Asked::Set(setting) => Reply::new(id, shared.set(&setting).map(|()| serde_json::Map::new())),
        Asked::Connections(wanted) => Reply::new(id, shared.connections(&wanted)),
        Asked::Command(command) => {
            shared.command(command);
            Reply::new(id, Ok(serde_json::Map::new()))
        }
        Asked::Stats { routes } => Reply::new(id, Ok(telemetry::collect(shared, routes))),
    }
}
