//! Which certificate a client gets.

use std::sync::Arc;

use rustls::{CipherSuite, SignatureAlgorithm, SignatureScheme};

use super::{Pair, pair, rsa_pair};
use crate::tls::choice::{Choice, Client};
use crate::tls::credential::Credential;

const BOTH: Client<'_> = Client {
    schemes: &[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256],
    suites: &[CipherSuite::TLS13_AES_128_GCM_SHA256],
};
const ONLY_RSA: Client<'_> = Client { schemes: &[SignatureScheme::RSA_PSS_SHA256], ..BOTH };

fn credentials(pairs: &[Pair]) -> Vec<Arc<Credential>> {
    pairs.iter().map(|pair| Arc::new(Credential::read(pair).ok().expect("a good pair"))).collect()
}

/// The index of what is chosen for a name.
fn chosen(credentials: &[Arc<Credential>], name: Option<&str>, client: &Client<'_>) -> usize {
    let choice = Choice::new(credentials);
    let key = choice.pick(name, client).expect("a certificate for everybody");
    credentials.iter().position(|credential| Arc::ptr_eq(&credential.key, key)).expect("one of them")
}

#[test]
fn the_exact_name_comes_before_a_wildcard_and_the_first_is_for_all_others() {
    let known = credentials(&[pair(&["first.test"]), pair(&["*.a.test"]), pair(&["www.a.test", "a.test"])]);
    for (name, index) in [
        (Some("www.a.test"), 2),
        (Some("a.test"), 2),
        (Some("other.a.test"), 1),
        (Some("deep.other.a.test"), 0),
        (Some("nobody.test"), 0),
        (None, 0),
    ] {
        assert_eq!(chosen(&known, name, &BOTH), index, "{name:?}");
    }
}

#[test]
fn of_two_for_a_name_a_client_gets_the_one_it_can_check_and_rsa_last() {
    let known = credentials(&[rsa_pair(&["a.test"]), pair(&["a.test"])]);
    for name in [Some("a.test"), None] {
        assert_eq!(chosen(&known, name, &BOTH), 1);
        assert_eq!(chosen(&known, name, &ONLY_RSA), 0);
    }
    assert_eq!(known[0].key.key.algorithm(), SignatureAlgorithm::RSA);
}

#[test]
fn up_to_tls_1_2_the_cipher_suites_say_which_key_may_sign() {
    let known = credentials(&[pair(&["a.test"]), rsa_pair(&["a.test"])]);
    let old = Client { suites: &[CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], ..BOTH };
    assert_eq!(chosen(&known, Some("a.test"), &old), 1);
}

#[test]
fn a_client_that_can_check_none_gets_the_one_for_its_name() {
    let known = credentials(&[pair(&["first.test"]), pair(&["a.test"])]);
    assert_eq!(chosen(&known, Some("a.test"), &ONLY_RSA), 1);
}
