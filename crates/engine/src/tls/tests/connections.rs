//! Connections over real sockets: what a client sees, and what its backend does.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{NamedGroup, ProtocolVersion};
use serde_json::{Value, json};

use super::{PATIENCE, Terminal, pair, secrets};
use crate::tls::provider;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Makes the listener one of TCP.
fn tcp(spec: &mut Value) {
    spec["listeners"][0]["protocol"] = json!({"tcp": {"sni": false}});
}

/// The value of a sample of the metrics page.
fn metric(terminal: &Terminal, sample: &str) -> u64 {
    let page = terminal.engine.metrics();
    let line = page.lines().find(|line| line.starts_with(sample));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// Waits until a sample has this value.
fn until(terminal: &Terminal, sample: &str, value: u64) {
    let deadline = crate::clock::now() + PATIENCE;
    while metric(terminal, sample) != value {
        assert!(crate::clock::now() < deadline, "{sample} is {}", metric(terminal, sample));
        std::thread::yield_now();
    }
}

fn failures(reason: &str) -> String {
    format!("fairlead_tls_handshake_failures_total{{listener=\"web\",reason=\"{reason}\"}}")
}

#[test]
fn requests_go_through_and_their_backend_learns_that_they_came_encrypted() {
    let terminal = Terminal::start(|_| {});
    let mut client = terminal.client();
    client.write_all(GET).unwrap();
    let (mut backend, _) = terminal.backend(0);
    let mut head = [0; 4096];
    let length = backend.read(&mut head).unwrap();
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    assert!(head.contains("X-Forwarded-Proto: https\r\n"), "{head}");
    assert!(head.contains("X-Forwarded-Port: 443\r\n"), "{head}");
    backend.write_all(OK).unwrap();
    let mut answer = vec![0; OK.len()];
    client.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    let connection = &client.conn;
    assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = connection.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    let sample = "fairlead_tls_handshakes_total{listener=\"web\",version=\"1.3\",resumed=\"no\"}";
    assert_eq!(metric(&terminal, sample), 1);
}

#[test]
fn a_head_and_the_beginning_of_its_body_are_one_record() {
    let terminal = Terminal::start(|_| {});
    let mut client = terminal.client();
    client.write_all(GET).unwrap();
    let body = vec![b'x'; 5_000];
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(&body);
    let _backend = terminal.answer(&answer);
    let mut header = [0; 5];
    let mut records = Vec::new();
    while records.iter().sum::<usize>() < answer.len() {
        client.sock.read_exact(&mut header).unwrap();
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        client.sock.read_exact(&mut vec![0; length]).unwrap();
        records.push(length);
    }
    // What TLS 1.3 itself says comes first and is small.
    assert_eq!(records.iter().filter(|length| **length > 500).count(), 1, "{records:?}");
}

#[test]
fn a_body_larger_than_every_buffer_comes_whole_to_a_client_that_reads_late() {
    let terminal = Terminal::start(|_| {});
    let mut client = terminal.client();
    client.write_all(b"GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n").unwrap();
    let body: Vec<u8> = (0..24_000_000_u32).map(|at| (at % 251) as u8).collect();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut backend = terminal.answer(head.as_bytes());
    let sent = body.clone();
    let sending = std::thread::spawn(move || backend.write_all(&sent).map(|()| backend));
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    sending.join().unwrap().unwrap();
    let start = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(received[start..] == body, "{} of {} bytes", received.len() - start, body.len());
}

#[test]
fn an_upload_comes_whole_however_its_records_are_cut() {
    let terminal = Terminal::start(|_| {});
    let mut client = terminal.client_with(|config| config.max_fragment_size = Some(600));
    let body: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 253) as u8).collect();
    let head = format!("POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: {}\r\n\r\n", body.len());
    let length = body.len();
    let sent = body.clone();
    let sending = std::thread::spawn(move || {
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(&sent).unwrap();
        client
    });
    let mut backend = terminal.answer(b"");
    let mut received = vec![0; length];
    backend.read_exact(&mut received).unwrap();
    assert!(received == body);
    backend.write_all(OK).unwrap();
    let mut client = sending.join().unwrap();
    client.read_exact(&mut [0; 17]).unwrap();
}

#[test]
fn a_client_that_has_said_all_it_has_to_say_gets_its_answer() {
    let terminal = Terminal::start(|_| {});
    let mut client = terminal.client();
    client.write_all(GET).unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    client.sock.shutdown(Shutdown::Write).unwrap();
    let _backend = terminal.answer(OK);
    let mut answer = Vec::new();
    // An end without the alert would be an error here.
    client.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(b"ok"));
}

#[test]
fn each_side_of_a_session_ends_on_its_own() {
    let terminal = Terminal::start(tcp);
    let mut client = terminal.client();
    client.write_all(b"question").unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    let (mut backend, question) = terminal.backend(8);
    assert_eq!(question, b"question");
    assert_eq!(backend.read(&mut [0]).unwrap(), 0, "the client's end is passed on");
    backend.write_all(b"answer").unwrap();
    drop(backend);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"answer");
}

#[test]
fn a_session_that_its_backend_broke_doesnt_look_complete() {
    let terminal = Terminal::start(tcp);
    let mut client = terminal.client();
    client.write_all(b"question").unwrap();
    let (backend, _) = terminal.backend(8);
    socket2::SockRef::from(&backend).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(backend);
    let error = client.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof), "{error}");
}

#[test]
fn tls_1_2_is_spoken_unless_it_is_too_old() {
    let old = |terminal: &Terminal| {
        let mut client = terminal.client_with(|config| {
            let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
                Arc::new(roots(&terminal.trusted)),
                provider(),
            );
            *config = rustls::ClientConfig::builder_with_provider(provider())
                .with_protocol_versions(&[&rustls::version::TLS12])
                .unwrap()
                .with_webpki_verifier(verifier.build().unwrap())
                .with_no_client_auth();
        });
        client.write_all(GET).map(|()| client)
    };
    let terminal = Terminal::start(|_| {});
    let mut client = old(&terminal).unwrap();
    let _backend = terminal.answer(OK);
    client.read_exact(&mut [0; 17]).unwrap();
    assert_eq!(client.conn.protocol_version(), Some(ProtocolVersion::TLSv1_2));

    let strict = Terminal::start(|spec| spec["listeners"][0]["tls"]["min_version"] = "1.3".into());
    assert!(old(&strict).is_err());
    until(&strict, &failures("incompatible"), 1);
}

fn roots(trusted: &[CertificateDer<'static>]) -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).unwrap();
    }
    roots
}

#[test]
fn a_hello_in_single_bytes_is_a_hello() {
    let terminal = Terminal::start(|_| {});
    let mut client = terminal.client();
    let mut hello = Vec::new();
    client.conn.write_tls(&mut hello).unwrap();
    for byte in hello {
        client.sock.write_all(&[byte]).unwrap();
    }
    client.write_all(GET).unwrap();
    let _backend = terminal.answer(OK);
    client.read_exact(&mut [0; 17]).unwrap();
}

#[test]
fn who_speaks_http_in_the_clear_is_told_so_and_counted() {
    let terminal = Terminal::start(|_| {});
    let mut socket = terminal.socket();
    socket.write_all(GET).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    until(&terminal, &failures("not_tls"), 1);
}

#[test]
fn failed_handshakes_are_counted_by_why_they_failed() {
    let terminal = Terminal::start(|spec| spec["listeners"][0]["timeouts"]["tls_handshake_ms"] = 200.into());
    let silent = terminal.socket();
    until(&terminal, &failures("timeout"), 1);
    drop(silent);

    let gone = terminal.socket();
    drop(gone);
    until(&terminal, &failures("closed"), 1);

    let mut stranger = terminal.client_with(|config| {
        *config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
    });
    assert!(stranger.write_all(GET).is_err(), "it trusts nobody");
    until(&terminal, &failures("rejected"), 1);

    let other = CryptoProvider {
        kx_groups: vec![rustls::crypto::aws_lc_rs::kx_group::X25519],
        ..(*provider()).clone()
    };
    let mut plain = terminal.client_with(|config| {
        *config = rustls::ClientConfig::builder_with_provider(Arc::new(other))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots(&terminal.trusted))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h3".to_vec()];
    });
    assert!(plain.write_all(GET).is_err(), "there is no protocol in common");
    until(&terminal, &failures("incompatible"), 1);
}

#[test]
fn an_open_connection_goes_on_when_certificates_change_and_the_next_gets_the_new_one() {
    let mut terminal = Terminal::start(|_| {});
    let mut open = terminal.client();
    open.write_all(GET).unwrap();
    let mut backend = terminal.answer(OK);
    open.read_exact(&mut [0; 17]).unwrap();

    let renewed = pair(&["web.test"]);
    let certificate = CertificateDer::from_pem_slice(renewed.cert.as_bytes()).unwrap();
    terminal.engine.secrets(&secrets([("site", renewed)])).unwrap();
    open.write_all(GET).unwrap();
    backend.read_exact(&mut [0; 1]).unwrap();

    terminal.trusted = vec![certificate.clone()];
    let mut next = terminal.client();
    next.write_all(GET).unwrap();
    assert_eq!(next.conn.peer_certificates().unwrap(), [certificate]);
}

#[test]
fn bad_certificates_change_nothing_and_missing_ones_refuse_a_configuration() {
    let terminal = Terminal::start(|_| {});
    let bad = super::Pair { cert: "x".into(), key: "y".into() };
    terminal.engine.secrets(&secrets([("site", bad)])).unwrap_err();
    let mut client = terminal.client();
    client.write_all(GET).unwrap();

    let mut spec = terminal.spec.clone();
    spec["listeners"][0]["tls"]["certificates"] = json!(["site", "other"]);
    let refused = terminal.engine.apply(&serde_json::from_value(spec).unwrap()).unwrap_err().to_string();
    assert_eq!(
        refused,
        "listeners.web.tls.certificates.1: certificate \"other\" was not given to the engine"
    );
}
