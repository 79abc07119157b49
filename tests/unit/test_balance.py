"""The engine's picker in a Python program."""

from __future__ import annotations

import threading
from collections import Counter
from ipaddress import ip_address

import pytest

import fairlead
from fairlead.balance import NoBackendError
from fairlead.errors import ConfigurationError

THREE = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]


def served(pool: fairlead.Pool, key: str | None = None) -> str:
    with pool.pick(key) as backend:
        return backend.address


def test_turns_are_taken_by_weight() -> None:
    pool = fairlead.Pool(["10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 3}])
    assert Counter(served(pool) for _ in range(40)) == {"10.0.0.1:80": 10, "10.0.0.2:80": 30}


def test_a_pick_is_in_flight_until_its_block_ends_however_it_does() -> None:
    pool = fairlead.Pool(THREE, algorithm="least_connections")

    def fail() -> None:
        with pool.pick() as backend:
            assert pool.in_flight[backend.id] == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert set(pool.in_flight.values()) == {0}


def test_a_place_is_given_back_once() -> None:
    pool = fairlead.Pool(["10.0.0.1:80"])
    first, _second = pool.pick(), pool.pick()
    first.end()
    first.end()
    assert pool.in_flight == {"10.0.0.1:80": 1}


def test_a_key_stays_with_its_backend_and_only_keys_of_who_left_move() -> None:
    hashing = {"consistent_hash": {"table": "ring"}}
    before, after = (fairlead.Pool(backends, algorithm=hashing) for backends in (THREE, THREE[:2]))
    keys = [f"user-{number}" for number in range(300)]
    for key in keys:
        owner = served(before, key)
        assert served(before, key) == owner
        assert served(after, key) == owner or owner == THREE[2]
    assert before.digest == fairlead.Pool(THREE[::-1], algorithm=hashing).digest != after.digest


def test_under_ip_hash_a_key_is_an_address() -> None:
    pool = fairlead.Pool(THREE, algorithm={"ip_hash": {"v6_prefix": 64}})
    owners = {pool.pick(key).backend for key in ("2001:db8::1", "2001:db8::2", ip_address("2001:db8::3"))}
    assert len(owners) == 1
    with pytest.raises(ValueError, match="no IP address"):
        pool.pick("someone")


def test_the_time_of_a_block_is_learnt_unless_it_is_discarded() -> None:
    pool = fairlead.Pool(THREE[:1], algorithm="least_time")
    pick = pool.pick()
    pick.discard()
    pick.end()
    assert pool.times == {"10.0.0.1:80": None}
    served(pool)
    time = pool.times["10.0.0.1:80"]
    assert time is not None
    assert 0 < time < 5


def test_a_backend_that_refuses_is_left_for_one_that_answers() -> None:
    pool = fairlead.Pool(THREE[:2], algorithm="least_time")

    def refused() -> None:
        with pool.pick():
            raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        refused()
    (bad,) = (backend for backend, time in pool.times.items() if time is not None)
    assert {served(pool) for _ in range(20)} == {THREE[1] if bad == THREE[0] else THREE[0]}


def test_those_to_avoid_are_left_out() -> None:
    pool = fairlead.Pool(THREE)
    first, second = pool.backends[:2]
    assert pool.pick(avoid=[first, second]).backend.address == THREE[2]
    with pytest.raises(NoBackendError, match="avoided"):
        pool.pick(avoid=pool.backends)


def test_full_backends_and_backups() -> None:
    backup = {"address": "10.0.0.9:80", "backup": True}
    pool = fairlead.Pool(["10.0.0.1:80", backup], max_in_flight=1)
    assert pool.pick().backend.address == "10.0.0.1:80"
    with pytest.raises(NoBackendError, match="max_in_flight"):
        pool.pick()


def test_a_limit_may_find_itself() -> None:
    pool = fairlead.Pool(["10.0.0.1:80"], max_in_flight={"adaptive": {"min": 2, "max": 3}})
    picks = [pool.pick() for _ in range(3)]
    with pytest.raises(NoBackendError, match="max_in_flight"):
        pool.pick()
    for pick in picks:
        pick.end()
    assert pool.pick().backend.address == "10.0.0.1:80"


def test_own_zone_comes_first() -> None:
    backends = [{"address": address, "zone": zone} for address, zone in zip(THREE, "abb", strict=True)]
    pool = fairlead.Pool(backends, zone="a")
    assert {served(pool) for _ in range(20)} == {THREE[0]}


def test_random_choices_are_repeatable() -> None:
    one, other = (fairlead.Pool(THREE, algorithm="random", seed=7) for _ in range(2))
    assert [served(one) for _ in range(50)] == [served(other) for _ in range(50)]


@pytest.mark.parametrize(
    ("backends", "algorithm", "problem"),
    [
        (THREE, "leastconn", 'algorithm: unknown algorithm "leastconn" (did you mean "least_connections"?)'),
        ([*THREE, THREE[0]], "first", 'backends[3]: "10.0.0.1:80" is already the id of backend 0'),
        (["app:80"], "first", "backends: a program's pool resolves no names"),
        (
            [f"10.0.{n // 250}.{n % 250}:80" for n in range(1001)],
            {"consistent_hash": {"table": "rendezvous"}},
            "algorithm: rendezvous looks at each of the 1001 backends",
        ),
    ],
)
def test_what_is_wrong_is_said_as_for_a_file(backends: list[str], algorithm: object, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        fairlead.Pool(backends, algorithm=algorithm)  # type: ignore[arg-type]
    assert str(refused.value).replace("backends.3", "backends[3]").startswith(problem)


def test_threads_share_a_pool() -> None:
    pool = fairlead.Pool(THREE, algorithm="least_connections", max_in_flight=2)
    highest: list[int] = []

    def work() -> None:
        for _ in range(500):
            try:
                with pool.pick():
                    highest.append(max(pool.in_flight.values()))
            except NoBackendError:
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(highest) <= 2
    assert set(pool.in_flight.values()) == {0}
