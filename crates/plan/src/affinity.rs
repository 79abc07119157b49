//! How clients are kept at their backends.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance as balance;
use fairlead_balance::affinity::{MOST_BACKENDS, Memory, OnFailure, Tag, Tags};
use fairlead_balance::{Algorithm, HashTable, Live, Member, Options, Picker};
use foldhash::fast::FixedState;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::algorithm::{KeyPart, RENDEZVOUS_MOST, key_part};
use crate::digest::Digest;
use crate::error::{Errors, Place};
use crate::route::is_token;
use crate::spec;

/// A header's value is looked up at every member, as rendezvous does.
const HOMES: Algorithm = Algorithm::ConsistentHash { table: HashTable::Rendezvous, bounded_load: None };

/// 512 MiB.
const MOST_ENTRIES: u64 = 64 << 20;

/// How a pool keeps clients at their backends.
#[derive(Debug)]
pub struct Affinity {
    /// By what a client is known.
    pub by: AffinityKey,
    /// What becomes of a client whose backend can't have it.
    pub on_failure: OnFailure,
}

/// By what a client is known.
#[derive(Debug)]
pub enum AffinityKey {
    /// By a cookie of ours.
    Cookie(AffinityCookie),
    /// By the value of the first field of this name.
    Header(Box<[u8]>),
    /// By the value of a cookie that backends set.
    Learn(Box<[u8]>, Book),
    /// By what of the request these parts make.
    Table(Vec<KeyPart>, Book),
}

/// Who went where.
#[derive(Debug, Clone)]
pub struct Book {
    /// What is remembered, over reloads.
    pub memory: Arc<Memory>,
    /// For how long after its last use.
    pub ttl: Duration,
    /// What changes is told to the control process.
    pub shared: bool,
}

/// A cookie that names a backend.
pub struct AffinityCookie {
    /// As it is called.
    pub name: Box<[u8]>,
    /// Whether every answer sets it anew, since it lasts for a time after the last one.
    pub renewed: bool,
    /// When it is sent over encrypted connections only.
    pub secure: spec::SecureCookie,
    /// What follows its value, `Secure` apart.
    attributes: String,
    key: Hmac<Sha256>,
}

impl std::fmt::Debug for AffinityCookie {
    /// Without what values are made with.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AffinityCookie").field("attributes", &self.attributes).finish_non_exhaustive()
    }
}

/// By what the members of a pool have their clients.
#[derive(Debug, Default)]
pub enum Bonds {
    /// They have none.
    #[default]
    None,
    /// Each has its cookie.
    Cookies(Cookies),
    /// Each has the values that this picks it for.
    Homes(Picker),
    /// Each has a number under which it is remembered.
    Numbers(Numbers),
}

/// The numbers under which a pool's members are remembered.
#[derive(Debug)]
pub struct Numbers {
    of_members: Box<[u16]>,
    members: HashMap<u16, u32, FixedState>,
}

/// The cookies of a pool's members.
#[derive(Debug)]
pub struct Cookies {
    tags: Tags,
    /// As `Set-Cookie` has them, in the order of the members.
    fields: Box<[SetCookie]>,
}

#[derive(Debug, Clone)]
struct SetCookie {
    tag: Tag,
    text: Box<[u8]>,
    /// What of the text is left without `Secure`.
    plain: usize,
}

impl Affinity {
    pub(crate) fn build(spec: &spec::Affinity, pool: &str, live: &Live) -> Self {
        Self {
            by: match &spec.by {
                spec::AffinityKey::Cookie(cookie) => {
                    AffinityKey::Cookie(AffinityCookie::build(cookie, pool, live))
                }
                spec::AffinityKey::Header(name) => AffinityKey::Header(name.as_bytes().into()),
                spec::AffinityKey::Learn(learn) => {
                    let of = Digest::new().part(b"learn").part(learn.response_cookie.as_bytes());
                    let book = Book::build((learn.ttl_ms, learn.max_entries, false), of, pool, live);
                    AffinityKey::Learn(learn.response_cookie.as_bytes().into(), book)
                }
                spec::AffinityKey::Table(table) => {
                    let of = Digest::new().part(b"table").part(format!("{:?}", table.key).as_bytes());
                    let book = Book::build((table.ttl_ms, table.max_entries, table.shared), of, pool, live);
                    AffinityKey::Table(table.key.iter().map(key_part).collect(), book)
                }
            },
            on_failure: match spec.on_failure {
                spec::OnFailure::Rebalance => OnFailure::Rebalance,
                spec::OnFailure::Fail => OnFailure::Fail,
            },
        }
    }

    pub(crate) fn check(spec: &spec::Affinity, at: Place<'_>, errors: &mut Errors) {
        match &spec.by {
            spec::AffinityKey::Cookie(cookie) => check_cookie(cookie, at.key("cookie"), errors),
            spec::AffinityKey::Header(name) if !is_token(name) => {
                errors.add(at.key("header"), format_args!("{name:?} is no name of a header"));
            }
            spec::AffinityKey::Header(_) => {}
            spec::AffinityKey::Learn(learn) => {
                let at = at.key("learn");
                if !is_token(&learn.response_cookie) {
                    let message = format_args!("{:?} is no name of a cookie", learn.response_cookie);
                    errors.add(at.key("response_cookie"), message);
                }
                check_book(learn.ttl_ms, learn.max_entries, at, errors);
            }
            spec::AffinityKey::Table(table) => {
                let at = at.key("table");
                if table.key.is_empty() {
                    errors.add(at.key("key"), "a key needs a part");
                }
                check_book(table.ttl_ms, table.max_entries, at, errors);
            }
        }
    }

    /// What it remembers, if it remembers anything.
    #[must_use]
    pub fn book(&self) -> Option<&Book> {
        match &self.by {
            AffinityKey::Learn(_, book) | AffinityKey::Table(_, book) => Some(book),
            AffinityKey::Cookie(_) | AffinityKey::Header(_) => None,
        }
    }

    pub(crate) fn size(&self) -> Size {
        match self.by {
            AffinityKey::Cookie(_) => Size::Any,
            AffinityKey::Header(_) => Size::Header,
            AffinityKey::Learn(..) | AffinityKey::Table(..) => Size::Numbers,
        }
    }

    /// Whether a backend is known by what its clients bring, so that it can go on with them while it drains.
    #[must_use]
    pub fn knows_clients(&self) -> bool {
        !matches!(self.by, AffinityKey::Header(_))
    }
}

fn check_cookie(cookie: &spec::AffinityCookie, at: Place<'_>, errors: &mut Errors) {
    if !is_token(&cookie.name) {
        errors.add(at.key("name"), format_args!("{:?} is no name of a cookie", cookie.name));
    }
    if cookie.ttl_s == Some(0) {
        errors.add(at.key("ttl"), "must be at least 1s: a cookie without time is none");
    }
    // RFC 6265 4.1.1: a value of an attribute is printable ASCII without a semicolon.
    let is_value = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b';');
    if !cookie.path.starts_with('/') || !is_value(&cookie.path) {
        errors.add(at.key("path"), format_args!("{:?} is no path of a cookie", cookie.path));
    }
    if let Some(domain) = cookie.domain.as_deref().filter(|domain| domain.is_empty() || !is_value(domain)) {
        errors.add(at.key("domain"), format_args!("{domain:?} is no name of a host"));
    }
    if cookie.secret.as_deref() == Some("") {
        errors.add(at.key("secret"), "an empty secret is none");
    }
}

fn check_book(ttl_ms: u64, max_entries: u64, at: Place<'_>, errors: &mut Errors) {
    if ttl_ms < 1_000 {
        errors.add(at.key("ttl"), "must be at least 1s: times are kept in seconds");
    }
    if !(8..=MOST_ENTRIES).contains(&max_entries) {
        let message = format_args!("{max_entries} is not from 8 to {MOST_ENTRIES}, at 8 bytes each");
        errors.add(at.key("max_entries"), message);
    }
}

impl Book {
    fn build((ttl_ms, entries, shared): (u64, u64, bool), of: Digest, pool: &str, live: &Live) -> Self {
        let of = of.part(&entries.to_le_bytes()).part(&[u8::from(shared)]).value();
        let memory = live.pool(pool).memory(of, || Memory::new(entries as usize, shared));
        Self { memory, ttl: Duration::from_millis(ttl_ms), shared }
    }
}

impl Numbers {
    /// Under which a member is remembered.
    #[must_use]
    pub fn of(&self, member: usize) -> u16 {
        self.of_members[member]
    }

    /// The member that is remembered under this.
    #[must_use]
    pub fn member(&self, number: u16) -> Option<usize> {
        self.members.get(&number).map(|&member| member as usize)
    }
}

impl AffinityCookie {
    fn build(spec: &spec::AffinityCookie, pool: &str, live: &Live) -> Self {
        let secret = spec.secret.as_ref().map_or(live.secret().as_slice(), |secret| secret.as_bytes());
        let mut key =
            Hmac::new_from_slice(secret).expect("invariant: HMAC takes keys of any length (RFC 2104 2)");
        key.update(b"affinity");
        update(&mut key, pool);
        let mut attributes = format!("; Path={}; HttpOnly; SameSite=", spec.path);
        attributes.push_str(match spec.same_site {
            spec::SameSite::Lax => "Lax",
            spec::SameSite::Strict => "Strict",
            spec::SameSite::None => "None",
        });
        if let Some(seconds) = spec.ttl_s {
            let _ = write!(attributes, "; Max-Age={seconds}");
        }
        if let Some(domain) = &spec.domain {
            let _ = write!(attributes, "; Domain={domain}");
        }
        Self {
            name: spec.name.as_bytes().into(),
            renewed: spec.ttl_s.is_some(),
            secure: spec.secure,
            attributes,
            key,
        }
    }

    /// What its value is for a member, on all nodes that have the same secret.
    fn tag(&self, hash_name: &str) -> Tag {
        let mut code = self.key.clone();
        update(&mut code, hash_name);
        let bits = code.finalize().into_bytes();
        Tag::new(std::array::from_fn(|at| bits[at]))
    }

    fn field(&self, tag: Tag) -> SetCookie {
        let mut text = Vec::new();
        for part in [&*self.name, b"=", tag.as_bytes(), self.attributes.as_bytes()] {
            text.extend_from_slice(part);
        }
        let plain = text.len();
        text.extend_from_slice(b"; Secure");
        SetCookie { tag, text: text.into(), plain }
    }
}

/// With its length behind it, so that no two names run into each other.
fn update(code: &mut Hmac<Sha256>, name: &str) {
    code.update(name.as_bytes());
    code.update(&(name.len() as u64).to_be_bytes());
}

impl Bonds {
    pub(crate) fn build(affinity: Option<&Affinity>, members: &[Member]) -> Self {
        match affinity.map(|affinity| &affinity.by) {
            None => Self::None,
            Some(AffinityKey::Learn(_, book) | AffinityKey::Table(_, book)) => {
                let of_members = book.memory.ordinals(members.iter().map(|member| member.id.as_str()));
                let members = of_members.iter().copied().zip(0..).collect();
                Self::Numbers(Numbers { of_members: of_members.into(), members })
            }
            Some(AffinityKey::Cookie(cookie)) => {
                let tags: Vec<Tag> = members.iter().map(|member| cookie.tag(&member.hash_name)).collect();
                Self::Cookies(Cookies {
                    fields: tags.iter().map(|&tag| cookie.field(tag)).collect(),
                    tags: Tags::new(tags),
                })
            }
            // Without zones: all nodes have to send a value to the same member.
            Some(AffinityKey::Header(_)) => {
                Self::Homes(balance::Pool::build(HOMES, members.to_vec(), &Options::default()))
            }
        }
    }
}

impl Bonds {
    /// Those of one member alone, for whoever goes on with the clients it knows.
    pub(crate) fn of(&self, member: usize) -> Self {
        match self {
            Self::Cookies(cookies) => {
                let field = cookies.fields[member].clone();
                Self::Cookies(Cookies { tags: Tags::new([field.tag]), fields: [field].into() })
            }
            Self::Numbers(numbers) => {
                let number = numbers.of(member);
                Self::Numbers(Numbers {
                    of_members: [number].into(),
                    members: [(number, 0)].into_iter().collect(),
                })
            }
            // Who left has no values any more: they are others' now.
            Self::None | Self::Homes(_) => Self::None,
        }
    }
}

impl Cookies {
    /// The member that a cookie names.
    #[must_use]
    pub fn member(&self, tag: &Tag) -> Option<usize> {
        self.tags.member(tag)
    }

    /// What `Set-Cookie` says for a member.
    #[must_use]
    pub fn field(&self, member: usize, secure: bool) -> &[u8] {
        let SetCookie { text, plain, .. } = &self.fields[member];
        if secure { text } else { &text[..*plain] }
    }
}

/// Whether so many backends are too many for what is remembered of their clients.
pub(crate) fn check_size(by: Size, backends: usize, at: Place<'_>, errors: &mut Errors) {
    match by {
        Size::Header if backends > RENDEZVOUS_MOST => {
            let message = format_args!(
                "a value is looked up at each of the {backends} backends: up to {RENDEZVOUS_MOST}; take the algorithm \
                 consistent_hash with this header as its key"
            );
            errors.add(at.key("header"), message);
        }
        Size::Numbers if backends > MOST_BACKENDS => {
            let message =
                format_args!("entries tell {MOST_BACKENDS} backends apart, and these are {backends}");
            errors.add(at, message);
        }
        _ => {}
    }
}

/// By what a pool may be too large.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    Any,
    Header,
    Numbers,
}

impl Size {
    pub(crate) fn of(spec: &spec::Affinity) -> Self {
        match spec.by {
            spec::AffinityKey::Cookie(_) => Self::Any,
            spec::AffinityKey::Header(_) => Self::Header,
            spec::AffinityKey::Learn(_) | spec::AffinityKey::Table(_) => Self::Numbers,
        }
    }
}
