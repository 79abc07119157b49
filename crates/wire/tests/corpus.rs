//! Every entry of the corpus gets its verdict, whole and cut into any two pieces and into single bytes.

mod drive;

use drive::{Fault, Message, Side, fields, read};
use fairlead_wire::Version;
use fairlead_wire::http1::Body;
use fairlead_wire::path::{EncodedSlashes, normalise};
use serde_json::Value;

#[test]
fn every_request_gets_its_verdict() {
    check(include_str!("../../../tests/conformance/http1/requests.json"), 150);
}

#[test]
fn every_answer_gets_its_verdict() {
    check(include_str!("../../../tests/conformance/http1/answers.json"), 60);
}

fn check(corpus: &str, least: usize) {
    let entries: Vec<Value> = serde_json::from_str(corpus).expect("the corpus is JSON");
    assert!(entries.len() >= least);
    let wrong: Vec<String> = entries.iter().filter_map(|entry| judge(entry).err()).collect();
    assert!(wrong.is_empty(), "{} wrong verdicts:\n{}", wrong.len(), wrong.join("\n"));
}

fn judge(entry: &Value) -> Result<(), String> {
    let name = entry["name"].as_str().expect("a name");
    let bytes = latin1(&entry["bytes"]);
    let method = entry["request_method"].as_str();
    let side = method.map_or(Side::Request, |method| Side::Answer(method.as_bytes()));
    let whole = read(side, &bytes, &[]);
    verdict(entry, &bytes, &whole).map_err(|fault| format!("{name}: {fault}"))?;
    let every: Vec<usize> = (0..bytes.len()).collect();
    let halves = every.iter().map(std::slice::from_ref);
    for cuts in halves.chain([every.as_slice()]) {
        let cut = read(side, &bytes, cuts);
        if cut.as_ref().map(Message::events) != whole.as_ref().map(Message::events) {
            return Err(format!("{name}: cut at {cuts:?} it is {cut:?}"));
        }
    }
    Ok(())
}

fn verdict(entry: &Value, bytes: &[u8], seen: &Result<Message, Fault>) -> Result<(), String> {
    let late = entry["body_late"] == true;
    let cut = entry["eof"] == true;
    if let Some(accept) = entry["verdict"].get("accept") {
        let message = seen.as_ref().map_err(|fault| format!("{fault:?}"))?;
        return accepted(accept, bytes, message);
    }
    let status = entry["verdict"]["status"].as_u64().expect("a status");
    let clause = entry["clause"].as_str().expect("a clause");
    let (refusal, fits) = match seen {
        Ok(message) => (bad_path(message).ok_or("it was accepted")?, !late && !cut),
        Err(Fault::Head(refusal)) => (*refusal, !late && !cut),
        // A decoder doesn't know whose body it reads.
        Err(Fault::Body(refusal)) => (refusal_of(entry, *refusal), late && !cut),
        Err(Fault::Cut(refusal)) => (refusal_of(entry, *refusal), late && cut),
        Err(Fault::Waiting) => return Err("it is waited for more".into()),
    };
    if u64::from(refusal.status) == status && refusal.reason.len() > 3 && clause.starts_with("RFC ") && fits {
        return Ok(());
    }
    Err(format!("refused with {refusal:?}"))
}

fn refusal_of(entry: &Value, refusal: fairlead_wire::Refusal) -> fairlead_wire::Refusal {
    if entry["request_method"].is_string() { refusal.of_backend() } else { refusal }
}

fn bad_path(message: &Message) -> Option<fairlead_wire::Refusal> {
    normalise(message.head.path(), EncodedSlashes::Keep, &mut Vec::new()).err()
}

fn accepted(accept: &Value, bytes: &[u8], message: &Message) -> Result<(), String> {
    for (key, wanted) in accept.as_object().expect("what is accepted is a map") {
        let found = found(key, wanted, bytes, message);
        if found != *wanted {
            return Err(format!("{key} is {found}, not {wanted}"));
        }
    }
    Ok(())
}

/// What the message has where the corpus names `key`, in the corpus's form.
fn found(key: &str, wanted: &Value, bytes: &[u8], message: &Message) -> Value {
    let head = &message.head;
    match key {
        "method" => text(head.method()),
        "target" => text(head.path_and_query()),
        "host" => text(head.authority()),
        "status" => head.status().into(),
        "reason" => text(head.reason()),
        "version" => if head.version() == Version::Http10 { "1.0" } else { "1.1" }.into(),
        "path" => {
            let mut path = Vec::new();
            normalise(head.path(), EncodedSlashes::Keep, &mut path).map_or(Value::Null, |()| text(&path))
        }
        "body" => match message.body {
            Body::None => "none",
            Body::Length(_) => "length",
            Body::Chunked => "chunked",
            Body::Close => "close",
        }
        .into(),
        "data" => text(&message.data),
        "rest" => text(&bytes[message.len..]),
        "persistent" => message.persistent.into(),
        "expect_continue" => message.expect_continue.into(),
        "upgrade" => message.upgrade.into(),
        "trailers" => message.trailers.as_ref().map_or_else(|| Value::Array(Vec::new()), list),
        "only_fields" => list(head),
        "fields" => {
            let wanted = wanted.as_array().expect("a list of fields");
            let mut all = list(head);
            all.as_array_mut().expect("a list").retain(|field| wanted.contains(field));
            all
        }
        "after_hop" => {
            let mut head = head.clone();
            head.remove_hop_by_hop();
            list(&head)
        }
        _ => panic!("the corpus has an unknown key: {key}"),
    }
}

fn list(head: &fairlead_wire::Head) -> Value {
    fields(head).iter().map(|(name, value)| Value::Array(vec![text(name), text(value)])).collect()
}

fn latin1(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("bytes are a string");
    text.chars().map(|char| u8::try_from(char).expect("one character a byte")).collect()
}

fn text(bytes: &[u8]) -> Value {
    bytes.iter().copied().map(char::from).collect::<String>().into()
}
