//! What is said of certificates and keys that are no good.

use super::{Pair, pair, secrets};
use crate::tls::{inspect, read_secrets};

fn complaint(pair: Pair) -> String {
    read_secrets(&secrets([("site", pair)])).unwrap_err().to_string()
}

#[test]
fn a_good_pair_says_for_whom_and_until_when_it_is() {
    let facts = inspect(&secrets([("site", pair(&["b.test", "*.A.test"]))])).remove("site").unwrap().unwrap();
    assert_eq!(facts.names, ["*.a.test", "b.test"]);
    assert_eq!(facts.algorithm, "ecdsa");
    // What rcgen writes if nothing else is said.
    assert_eq!((facts.not_before, facts.not_after), (157_766_400, 67_090_118_400));
}

#[test]
fn each_flaw_is_told_of_the_half_that_has_it() {
    let (good, other) = (pair(&["a.test"]), pair(&["a.test"]));
    let with = |cert: &str, key: &str| Pair { cert: cert.to_owned(), key: key.to_owned() };
    let cut = &good.cert[..good.cert.len() - 40];
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let nonsense = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    for (pair, expected) in [
        (with(&good.cert, &other.key), "certificates.site.key: is the key of another certificate"),
        (
            with(&good.cert, &good.cert),
            "certificates.site.key: holds no private key in PEM: it is a certificate",
        ),
        (with(&good.cert, encrypted), "certificates.site.key: is encrypted"),
        (with(&good.cert, "secret"), "certificates.site.key: holds no private key in PEM"),
        (with(&good.key, &good.key), "certificates.site.cert: holds no certificate in PEM: it is a key"),
        (with("", &good.key), "certificates.site.cert: holds no certificate in PEM"),
        (with(cut, &good.key), "certificates.site.cert: is no PEM: an END line is missing"),
        (with(nonsense, &good.key), "certificates.site.cert: is no certificate that can be read"),
    ] {
        let said = complaint(pair);
        assert!(said.starts_with(expected), "{said}");
        assert!(!said.contains("secret"), "a key is never shown: {said}");
    }
}

#[test]
fn every_bad_one_is_named_and_no_key_is_ever_written() {
    let bad = || Pair { cert: "x".into(), key: "hidden".into() };
    let secrets = secrets([("one", bad()), ("two", bad())]);
    let said = read_secrets(&secrets).unwrap_err();
    assert_eq!(said.errors.len(), 2);
    assert!(!format!("{secrets:?}{:?}", secrets.certificates["one"]).contains("hidden"));
}
