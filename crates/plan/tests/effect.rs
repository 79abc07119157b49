//! A configuration that is built changes nothing of what is served: it may yet be refused.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_balance::health::Report;
use fairlead_balance::{BackendLive, BreakerPolicy, LeastTime, Live, Standing, State};
use fairlead_plan::spec::{BackendAddress, Spec};
use fairlead_plan::{Membership, Plan};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{backend, whole};

const LIMITED: &str = "10.0.0.1:80";
const OTHER: &str = "10.0.0.2:80";

fn described(affinity: &Value, backends: &[Value]) -> Spec {
    let mut spec = whole();
    spec["pools"][0]["affinity"] = affinity.clone();
    spec["pools"][0]["backends"] = json!(backends);
    serde_json::from_value(spec).expect("the description is whole")
}

fn table() -> Value {
    let table = json!({"key": ["client"], "ttl_ms": 60_000, "max_entries": 8, "shared": false});
    json!({"by": {"table": table}, "on_failure": "rebalance"})
}

fn adaptive(id: &str) -> Value {
    let mut backend = backend(id);
    backend["max_in_flight"] = json!({"adaptive": {"min": 1, "max": 100}});
    backend
}

/// A Plan that has served for a while.
struct Served {
    live: Live,
    plan: Plan,
}

impl Served {
    #[expect(clippy::disallowed_methods, reason = "time has to start somewhere")]
    fn new() -> Self {
        let live = Live::new();
        let plan = Plan::build(&described(&table(), &[adaptive(LIMITED), backend(OTHER)]), &live)
            .expect("a good description");
        let pool = &plan.pools[0];
        pool.membership.take_effect(pool);
        let (now, picker) = (Instant::now(), &pool.membership.picker);
        let breaker = BreakerPolicy {
            error_thousandths: 500,
            window: Duration::from_secs(10),
            min_requests: 3,
            open: Duration::from_secs(5),
        };
        for (member, backend) in pool.membership.backends.iter().enumerate() {
            let live = &backend.live;
            live.begin();
            live.stand(Standing::new(State::Degraded, 1_000));
            live.observe(Duration::from_millis(20), now, LeastTime::default());
            live.report(Report::Reset, 5);
            for tenths in 0..20 {
                picker.adapt(member, None, now + Duration::from_millis(tenths * 100));
            }
            let pass = live.admit(now).expect("it is closed");
            (0..2).for_each(|_| _ = live.outcome(true, pass, &breaker, now));
        }
        Self { live, plan }
    }

    /// Everything that is known of those who serve.
    fn known(&self) -> (String, Vec<String>) {
        self.live.forget_unused();
        let backends = &self.plan.pools[0].membership.backends;
        let known = |live: &Arc<BackendLive>| format!("{live:?}");
        let book = self.plan.pools[0].affinity.as_ref().and_then(fairlead_plan::Affinity::book);
        let lives = backends.iter().map(|backend| known(&backend.live));
        (format!("{:?}", self.live), lives.chain([format!("{book:?}")]).collect())
    }
}

/// What a new configuration may say of a backend.
#[derive(Clone, Debug)]
struct Said {
    id: usize,
    port: u16,
    weight: u16,
    limited: bool,
}

fn said() -> impl Strategy<Value = Vec<Said>> {
    let one = (0_usize..6, 80_u16..83, 0_u16..9, any::<bool>());
    let one = one.prop_map(|(id, port, weight, limited)| Said { id, port, weight, limited });
    prop::collection::btree_map(0_usize..6, one, 0..6)
        .prop_map(|said| said.into_iter().map(|(id, said)| Said { id, ..said }).collect())
}

fn written(said: &[Said]) -> Vec<Value> {
    let one = |Said { id, port, weight, limited }: &Said| {
        let id = format!("10.0.0.{id}:80");
        let mut backend = if *limited { adaptive(&id) } else { backend(&id) };
        backend["address"] = json!({"ip": format!("10.0.0.1:{port}")});
        backend["weight"] = json!(weight);
        backend
    };
    said.iter().map(one).collect()
}

proptest! {
    #[test]
    fn what_lives_is_as_it_was_until_a_list_takes_effect(
        lists in prop::collection::vec(said(), 1..4),
        remembers in any::<bool>(),
    ) {
        let served = Served::new();
        let before = served.known();
        for list in &lists {
            let affinity = if remembers { table() } else { Value::Null };
            let mut spec = described(&affinity, &written(list));
            spec.pools[0].resolved = true;
            let plan = Plan::build(&spec, &served.live).expect("a good description");
            let pool = &served.plan.pools[0];
            let members = Membership::build(pool, &spec.pools[0].backends, 1, &served.live).expect("good members");
            let heavier = members.reweighted(pool, |_| Some(3));
            drop((plan, members, heavier));
        }
        prop_assert_eq!(served.known(), before);
    }
}

#[test]
fn what_is_new_begins_when_the_list_takes_effect() {
    let served = Served::new();
    let (pool, [stays, moves]) =
        (&served.plan.pools[0], [0, 1].map(|at| &served.plan.pools[0].membership.backends[at].live));
    let mut spec = described(&table(), &[adaptive(LIMITED), backend(OTHER), backend("10.0.0.3:80")]);
    spec.pools[0].backends[1].address = BackendAddress::Ip("10.9.9.9:80".parse().expect("an address"));
    let next = Plan::build(&spec, &served.live).expect("a good description");
    let members = &next.pools[0].membership.backends;
    let incarnations = || members.iter().map(|backend| backend.incarnation()).collect::<Vec<_>>();
    assert_eq!(incarnations(), [Some(0), None, None]);
    let untouched = format!("{stays:?}");
    next.pools[0].membership.take_effect(&next.pools[0]);
    assert_eq!(incarnations(), [Some(0), Some(1), Some(0)]);
    assert_eq!(pool.membership.backends[1].incarnation(), None);
    assert_eq!((moves.incarnation(), moves.in_flight()), (1, 1));
    // The pool they share has one change more, which has sums over it made anew.
    assert_eq!(without_changes(&format!("{stays:?}")), without_changes(&untouched));
    let book = pool.affinity.as_ref().and_then(fairlead_plan::Affinity::book).expect("a memory");
    assert_eq!(book.memory.ordinals(["10.0.0.3:80", "another"].into_iter()), [2, 3]);
}

fn without_changes(known: &str) -> String {
    let (before, after) = known.split_once("changes: ").expect("it is there");
    format!("{before}{}", after.trim_start_matches(|byte: char| byte.is_ascii_digit()))
}
