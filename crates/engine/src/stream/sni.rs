//! The route of a TLS connection that is passed through: by the name in its ClientHello, which stays where it is.

use fairlead_wire::client_hello::{self, MAX_BYTES, Read};

use super::end;
use super::session::Client;
use crate::clock::{self, Phase};
use crate::io::Fault;
use crate::published::{LocalListener, LocalRoute};
use crate::telemetry::End;

/// Reads the client's ClientHello and finds its route.
pub(super) async fn route<'a>(
    client: &mut Client,
    listener: &'a LocalListener,
) -> Result<&'a LocalRoute, End> {
    client.deadline.set(Phase::Header, clock::now() + listener.plan.timeouts.header);
    let read = hello(client).await;
    client.deadline.clear(Phase::Header);
    read?;
    let name = client.name.as_ref().map(|name| name.as_str().as_bytes()).unwrap_or_default();
    // Of names there is nothing but the host: every path is as good.
    let found = listener.plan.router.route(name, b"/");
    let missing = if client.name.is_some() { end::UNKNOWN_NAME } else { end::NO_NAME };
    found.map(|index| &listener.routes[index]).ok_or(missing)
}

async fn hello(client: &mut Client) -> Result<(), End> {
    let mut scratch = Vec::new();
    loop {
        match client_hello::read(client.input.filled(), &mut scratch) {
            Ok(Read::Hello(hello)) => {
                client.name = hello.server_name;
                return Ok(());
            }
            Ok(Read::NotTls) => return Err(end::NOT_TLS),
            Err(refusal) => return Err(end::refused(refusal.reason)),
            Ok(Read::More) => {}
        }
        // Until it speaks, a client costs no buffer.
        if client.input.is_empty() {
            client.stream.readable(&client.deadline).await.map_err(gone)?;
        }
        if !client.input.make_room(MAX_BYTES) {
            return Err(end::refused("ClientHello longer than is read"));
        }
        let received = client.stream.read(&client.deadline, &mut client.input).await.map_err(gone)?;
        if received == 0 {
            return Err(end::HELLO_INCOMPLETE);
        }
    }
}

fn gone(fault: Fault) -> End {
    match fault {
        Fault::TimedOut(phase) => end::timed_out(phase),
        _ => end::CLIENT_GONE,
    }
}
