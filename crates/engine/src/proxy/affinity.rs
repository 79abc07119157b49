//! Clients that go where they went before: by what they are known, to whom they belong, and what an answer tells them.

use std::rc::Rc;

use fairlead_balance::affinity::{Course, OnFailure, Tag};
use fairlead_balance::{Attempts, Known, NoBackend, Outcome, hash};
use fairlead_plan::spec::SecureCookie;
use fairlead_plan::{Affinity, AffinityCookie, AffinityKey, Bonds, Book};
use fairlead_wire::{Head, Known as Field, cookie};

use super::breaking;
use super::exchange::{Exchange, Gone, Order, Trouble};
use super::key::Source;
use super::slot::Slot;
use super::waiting;
use crate::clock;
use crate::http::failure::Failure;
use crate::published::{LocalMembers, LocalPool};

/// By what a request's client is known.
#[derive(Clone, Copy, Default)]
pub(crate) enum Mark {
    /// By nothing.
    #[default]
    None,
    /// By a cookie of ours, or what could be one.
    Tag(Tag),
    /// By a value of its own.
    Value(u64),
    /// By a value of its own, under which this is remembered.
    Noted(u64, Option<u16>),
}

/// Where a client belongs.
struct Home {
    members: Rc<LocalMembers>,
    index: usize,
    /// It left the pool, and goes on with those it knows.
    left: bool,
}

impl Home {
    /// A place there, or why there is none.
    fn slot(&self, order: &Order<'_>) -> Result<Slot, Known> {
        match self.members.shared.picker.take(self.index) {
            Known::Taken => {}
            none => return Err(none),
        }
        let slot = Slot::known(Rc::clone(&self.members), self.index, self.left);
        if !breaking::admits(order, &slot) {
            return Err(Known::Gone);
        }
        order.client.guard.uses(Some(&slot.backend().live));
        Ok(slot)
    }

    /// What it is among the members that were tried.
    fn member(&self) -> usize {
        if self.left { Slot::LEFT } else { self.index }
    }
}

impl Exchange {
    /// Reads by what the client is known. A cookie of ours is for us alone: backends don't see it.
    pub(super) fn recognise(&mut self, affinity: &Affinity) {
        let Self { request, scratch, path, account, .. } = self;
        let noted = |key, book: &Book| Mark::Noted(key, book.memory.find(key, clock::recently(), book.ttl));
        self.mark = match &affinity.by {
            AffinityKey::Cookie(ours) => {
                let mut tag = None;
                request.edit(b"Cookie", scratch, |field, left| {
                    tag = tag.or_else(|| cookie::value(field, &ours.name).and_then(Tag::read));
                    cookie::without(field, &ours.name, left)
                });
                tag.map_or(Mark::None, Mark::Tag)
            }
            AffinityKey::Header(name) => {
                request.named(name).map_or(Mark::None, |value| Mark::Value(hash(value)))
            }
            AffinityKey::Learn(name, book) => {
                let mut sent = request.named_all(b"Cookie");
                let value = sent.find_map(|field| cookie::value(field, name));
                value.map_or(Mark::None, |value| noted(hash(value), book))
            }
            AffinityKey::Table(parts, book) => {
                let source = Source { head: request, path, client: account.client };
                source.key(parts).map_or(Mark::None, |key| noted(key, book))
            }
        };
    }

    /// A place at the backend that the client belongs to, or at one that is picked.
    pub(super) async fn bound_slot(
        &mut self,
        order: &Order<'_>,
        affinity: &Affinity,
        attempts: &mut Attempts<'_>,
        mut gone: Gone<'_>,
    ) -> Result<Slot, Trouble> {
        let (pool, on_failure) = (&order.route.pool, affinity.on_failure);
        let Some(home) = home(pool, self.mark) else {
            // A value belongs to somebody; that one drains.
            return match (self.mark, on_failure) {
                (Mark::Value(_), OnFailure::Fail) => Err(Failure::BOUND_GONE.into()),
                _ => self.free_slot(order, attempts, gone).await,
            };
        };
        if attempts.tried().contains(home.member()) && !attempts.asks_again(home.member()) {
            return match on_failure {
                OnFailure::Rebalance => self.free_slot(order, attempts, gone).await,
                OnFailure::Fail => Err(Trouble::Try(Outcome::NoneAvailable(NoBackend::AllTried))),
            };
        }
        let mut why = match home.slot(order) {
            Ok(slot) => return Ok(slot),
            Err(why) => why,
        };
        let mut course = on_failure.course(why, pool.plan.queue.is_some());
        if course == Course::Wait {
            match self.wait_at(order, &home, gone.as_mut()).await? {
                Ok(slot) => return Ok(slot),
                Err(now) => (why, course) = (now, on_failure.course(now, false)),
            }
            if (why, course) == (Known::Full, Course::Anew) {
                return self.pick_after_waiting(order, attempts);
            }
        }
        match course {
            Course::Anew => self.free_slot(order, attempts, gone).await,
            _ if why == Known::Full => Err(Failure::BOUND_FULL.into()),
            _ => Err(Failure::BOUND_GONE.into()),
        }
    }

    /// A place at another backend than the ones that were tried, after an answer of one of them.
    pub(super) fn elsewhere(&self, order: &Order<'_>, attempts: &Attempts<'_>) -> Result<Slot, Trouble> {
        let pool = &order.route.pool;
        let stays =
            |affinity: &Affinity| affinity.on_failure == OnFailure::Fail && home(pool, self.mark).is_some();
        if pool.plan.affinity.as_ref().is_some_and(stays) {
            return Err(Trouble::Try(Outcome::NoneAvailable(NoBackend::AllTried)));
        }
        super::connect::pick(order, attempts, self.choice(order))
    }

    /// A place at the backend that a client belongs to as soon as it has one, within the bounds of the pool's queue; else
    /// why there is none.
    async fn wait_at(
        &self,
        order: &Order<'_>,
        home_now: &Home,
        gone: Gone<'_>,
    ) -> Result<Result<Slot, Known>, Trouble> {
        // Who is waited for may leave, or be back, meanwhile.
        let look = || match home(&order.route.pool, self.mark).map(|home| home.slot(order)) {
            Some(Err(Known::Full)) => None,
            Some(found) => Some(Ok(found)),
            None => Some(Ok(Err(Known::Gone))),
        };
        let line = home_now.members.shared.backends[home_now.index].live.line();
        let found = waiting::wait(order, line, &self.request, gone, look).await?;
        Ok(found.unwrap_or(Err(Known::Full)))
    }

    /// The time in the queue is over, but elsewhere there may be room.
    fn pick_after_waiting(&self, order: &Order<'_>, attempts: &Attempts<'_>) -> Result<Slot, Trouble> {
        super::connect::pick(order, attempts, self.choice(order)).map_err(|trouble| match trouble {
            Trouble::Try(Outcome::NoneAvailable(NoBackend::AllFull)) => Failure::QUEUE_TIMEOUT.into(),
            other => other,
        })
    }

    /// Notes where the client belongs now that the backend of `slot` has answered, or tells the client in that answer. Nobody
    /// comes to belong to a backend by its answer that it can't serve.
    pub(super) fn tell(&mut self, affinity: &Affinity, slot: &Slot, tls: bool) {
        let serves = !matches!(self.answer.status(), 502..=504);
        match (&affinity.by, slot.bonds()) {
            (AffinityKey::Cookie(ours), Bonds::Cookies(cookies)) => {
                let is_told =
                    matches!(self.mark, Mark::Tag(tag) if cookies.member(&tag) == Some(slot.place()));
                if serves && (ours.renewed || !is_told) {
                    let secure = is_secure(ours, &self.request, tls);
                    self.answer.append(b"Set-Cookie", cookies.field(slot.place(), secure));
                    keep_from_shared_caches(&mut self.answer);
                }
            }
            (AffinityKey::Learn(name, book), Bonds::Numbers(numbers)) => {
                let number = numbers.of(slot.place());
                // What the client sent counts only if a backend once gave it: else anybody could fill the memory.
                if let Mark::Noted(key, before @ Some(_)) = self.mark
                    && serves
                {
                    note(book, key, before, number);
                }
                let mut set = self.answer.named_all(b"Set-Cookie");
                let value = set.find_map(|field| cookie::set(field, name)).filter(|value| !value.is_empty());
                if let Some(value) = value {
                    book.memory.learn(hash(value), number, clock::recently(), book.ttl);
                }
            }
            (AffinityKey::Table(_, book), Bonds::Numbers(numbers)) => {
                if let Mark::Noted(key, before) = self.mark
                    && serves
                {
                    note(book, key, before, numbers.of(slot.place()));
                }
            }
            // A reload has changed meanwhile by what clients are known.
            _ => {}
        }
    }
}

/// A client was served by whom it didn't belong to: it does now.
fn note(book: &Book, key: u64, before: Option<u16>, number: u16) {
    if before != Some(number) {
        book.memory.settle(key, before, number, clock::recently(), book.ttl);
    }
}

/// To whom a client belongs, if that is known: a member, or one that left and still drains.
fn home(pool: &LocalPool, mark: Mark) -> Option<Home> {
    let members = pool.members();
    if let Some(index) = bound(&members.shared.bonds, mark) {
        return Some(Home { members, index, left: false });
    }
    let leaving = pool.leaving();
    if leaving.is_empty() {
        return None;
    }
    let now = clock::recently();
    let mut left = leaving.iter().filter(|left| left.until > now).map(|left| &left.members);
    let (members, index) = left.find_map(|left| Some((left, bound(&left.shared.bonds, mark)?)))?;
    Some(Home { members: Rc::clone(members), index, left: true })
}

fn bound(bonds: &Bonds, mark: Mark) -> Option<usize> {
    match (bonds, mark) {
        (Bonds::Cookies(cookies), Mark::Tag(tag)) => cookies.member(&tag),
        (Bonds::Homes(homes), Mark::Value(value)) => homes.owner(value),
        (Bonds::Numbers(numbers), Mark::Noted(_, Some(number))) => numbers.member(number),
        _ => None,
    }
}

fn is_secure(cookie: &AffinityCookie, request: &Head, tls: bool) -> bool {
    match cookie.secure {
        SecureCookie::Always => true,
        SecureCookie::Never => false,
        SecureCookie::Auto if tls => true,
        // Of a peer that isn't trusted the field was removed. Of several elements the last is the word of our own peer.
        SecureCookie::Auto => request
            .known(Field::XForwardedProto)
            .and_then(|value| value.rsplit(|&byte| byte == b',').next())
            .is_some_and(|scheme| scheme.trim_ascii().eq_ignore_ascii_case(b"https")),
    }
}

/// A cookie is one client's: no shared cache may give it to another (RFC 6265 3, RFC 9111 7.3).
fn keep_from_shared_caches(answer: &mut Head) {
    let is_kept = answer.named_all(b"Cache-Control").flat_map(|value| value.split(|&byte| byte == b',')).any(
        |directive| {
            let name = directive.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii();
            name.eq_ignore_ascii_case(b"private") || name.eq_ignore_ascii_case(b"no-store")
        },
    );
    if !is_kept {
        answer.append(b"Cache-Control", b"private");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controls(before: &[&str]) -> Vec<String> {
        let mut answer = Head::new();
        for value in before {
            answer.append(b"cache-control", value.as_bytes());
        }
        keep_from_shared_caches(&mut answer);
        answer.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    #[test]
    fn an_answer_with_a_cookie_is_kept_from_shared_caches() {
        assert_eq!(controls(&[]), ["private"]);
        assert_eq!(controls(&["max-age=60, public"]), ["max-age=60, public", "private"]);
        assert_eq!(controls(&["max-age=60", "Private"]), ["max-age=60", "Private"]);
        assert_eq!(controls(&["no-cache, No-Store"]), ["no-cache, No-Store"]);
        // A qualified form speaks of these fields alone, but says what is meant.
        assert_eq!(controls(&["private=\"set-cookie\""]), ["private=\"set-cookie\""]);
    }
}
