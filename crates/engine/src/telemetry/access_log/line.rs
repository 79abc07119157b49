//! A request as a line of text. Whatever a client sends, it stays within its field and its line.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use fairlead_plan::{Field, Format, Token};

use crate::telemetry::record::Record;
use crate::telemetry::timestamp;

/// Appends the line of `record`, which began at `started`, with its newline.
pub(super) fn write(format: &Format, record: &Record<'_>, started: SystemTime, out: &mut Vec<u8>) {
    match format {
        Format::Json => json(record, started, out),
        Format::Combined => combined(record, started, out),
        Format::Template(tokens) => {
            for token in tokens {
                match token {
                    Token::Text(text) => out.extend_from_slice(text.as_bytes()),
                    Token::Field(field) => plain(&value(*field, record, started), out),
                }
            }
        }
    }
    out.push(b'\n');
}

/// What stands in a field.
enum Value<'a> {
    Absent,
    /// From outside: anything may be in it.
    Bytes(&'a [u8]),
    Text(&'a str),
    Number(u64),
    Time(SystemTime),
    Address(IpAddr),
    Seconds(Duration),
}

impl<'a> Value<'a> {
    fn bytes(bytes: &'a [u8]) -> Self {
        if bytes.is_empty() { Self::Absent } else { Self::Bytes(bytes) }
    }

    fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Absent, Self::Text)
    }
}

fn value<'a>(field: Field, record: &Record<'a>, started: SystemTime) -> Value<'a> {
    match field {
        Field::Time => Value::Time(started),
        Field::Client => record.client.map_or(Value::Absent, Value::Address),
        Field::Method => Value::bytes(record.method),
        Field::Path => Value::bytes(record.path),
        Field::Host => Value::bytes(record.host),
        Field::Status => Value::Number(record.status.into()),
        Field::Duration => Value::Seconds(record.duration),
        Field::FirstByte => record.ttfb.map_or(Value::Absent, Value::Seconds),
        Field::Connect => record.upstream_connect.map_or(Value::Absent, Value::Seconds),
        Field::RequestBytes => Value::Number(record.request_bytes),
        Field::ResponseBytes => Value::Number(record.response_bytes),
        Field::Listener => Value::Text(&record.listener.plan.name),
        Field::Route => Value::text(record.route.map(|route| &*route.plan.id)),
        Field::Pool => Value::text(record.route.map(|route| &*route.pool.plan.name)),
        Field::Backend => Value::text(record.backend.map(|backend| &*backend.id)),
        Field::Tries => Value::Number(record.tries.into()),
        Field::RequestId => Value::bytes(record.request_id),
        Field::Reason => Value::text(Some(record.reason).filter(|reason| !reason.is_empty())),
        Field::Blame => Value::text(record.blame.name()),
        Field::UserAgent => Value::bytes(record.user_agent),
        Field::Referer => Value::bytes(record.referer),
    }
}

fn json(record: &Record<'_>, started: SystemTime, out: &mut Vec<u8>) {
    for (index, &field) in Field::ALL.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"" } else { b",\"" });
        out.extend_from_slice(field.name().as_bytes());
        out.extend_from_slice(b"\":");
        match value(field, record, started) {
            Value::Absent => out.extend_from_slice(b"null"),
            Value::Bytes(bytes) => json_string(bytes, out),
            Value::Text(text) => json_string(text.as_bytes(), out),
            Value::Time(at) => json_string(timestamp::rfc3339(at).as_bytes(), out),
            Value::Number(number) => decimal(number, out),
            Value::Seconds(duration) => seconds(duration, out),
            Value::Address(address) => put(out, format_args!("\"{address}\"")),
        }
    }
    out.push(b'}');
}

/// `client - - [time] "request line" status bytes "referer" "user agent"`, as the Apache HTTP server writes it.
fn combined(record: &Record<'_>, started: SystemTime, out: &mut Vec<u8>) {
    plain(&value(Field::Client, record, started), out);
    put(out, format_args!(" - - [{}] \"", timestamp::common_log(started)));
    if record.method.is_empty() {
        // No request line was understood.
        out.push(b'-');
    } else {
        escape(record.method, out);
        out.push(b' ');
        escape(record.path, out);
        put(out, format_args!(" {}", record.protocol));
    }
    out.extend_from_slice(b"\" ");
    decimal(record.status.into(), out);
    out.push(b' ');
    decimal(record.response_bytes, out);
    for field in [Field::Referer, Field::UserAgent] {
        out.extend_from_slice(b" \"");
        plain(&value(field, record, started), out);
        out.push(b'"');
    }
}

fn plain(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Absent => out.push(b'-'),
        Value::Bytes(bytes) => escape(bytes, out),
        Value::Text(text) => escape(text.as_bytes(), out),
        Value::Time(at) => out.extend_from_slice(timestamp::rfc3339(*at).as_bytes()),
        Value::Number(number) => decimal(*number, out),
        Value::Seconds(duration) => seconds(*duration, out),
        Value::Address(address) => put(out, format_args!("{address}")),
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes everything");
}

fn decimal(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn seconds(duration: Duration, out: &mut Vec<u8>) {
    put(out, format_args!("{}.{:06}", duration.as_secs(), duration.subsec_micros()));
}

/// How many bytes from the start mean themselves everywhere: printable ASCII but for `"` and `\`. Nearly always all.
fn plain_prefix(bytes: &[u8]) -> usize {
    let special = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
    bytes.iter().position(special).unwrap_or(bytes.len())
}

/// Printable ASCII as it is but for `"` and `\`; every other byte as `\xhh`, as the Apache HTTP server does.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let (plain, rest) = bytes.split_at(plain_prefix(bytes));
    out.extend_from_slice(plain);
    for &byte in rest {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => put(out, format_args!("\\x{byte:02x}")),
        }
    }
}

/// A JSON string (RFC 8259 7). Controls, DEL and the C1 range are escaped too: a log is read on terminals; and so are
/// the separators at which some readers end a line. Bytes that are no UTF-8 become U+FFFD.
fn json_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let (plain, rest) = bytes.split_at(plain_prefix(bytes));
    out.extend_from_slice(plain);
    for chunk in rest.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
                '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                    put(out, format_args!("\\u{:04x}", u32::from(character)));
                }
                ' '..='~' => out.push(character as u8),
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(with: fn(&[u8], &mut Vec<u8>), bytes: &[u8]) -> String {
        let mut out = Vec::new();
        with(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_cannot_leave_its_quotes() {
        assert_eq!(escaped(escape, b"a\"b\\c\r\n\x1b[2J\xff"), r#"a\"b\\c\x0d\x0a\x1b[2J\xff"#);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_in_json() {
        assert_eq!(escaped(json_string, b"a\xffb"), "\"a\u{fffd}b\"");
    }

    #[test]
    fn seconds_have_microseconds() {
        let mut out = Vec::new();
        seconds(Duration::from_micros(1_000_042), &mut out);
        assert_eq!(out, b"1.000042");
    }

    proptest! {
        #[test]
        fn json_reads_back_what_was_text(text in any::<String>()) {
            let line = escaped(json_string, text.as_bytes());
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }

        #[test]
        fn no_bytes_break_a_line(bytes in any::<Vec<u8>>()) {
            let line = escaped(escape, &bytes);
            prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            let json = escaped(json_string, &bytes);
            prop_assert!(serde_json::from_str::<String>(&json).is_ok());
        }
    }
}
