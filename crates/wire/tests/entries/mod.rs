//! A corpus of byte strings with what is said of each.

use serde_json::Value;

/// The entries of a corpus with their names and bytes.
pub(crate) fn of(corpus: &str) -> Vec<(String, Vec<u8>, Value)> {
    let entries: Vec<Value> = serde_json::from_str(corpus).expect("the corpus is JSON");
    let text = |entry: &Value, key: &str| entry[key].as_str().expect("a text").to_owned();
    entries.into_iter().map(|entry| (text(&entry, "name"), bytes(&text(&entry, "hex")), entry)).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "half a byte");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}
