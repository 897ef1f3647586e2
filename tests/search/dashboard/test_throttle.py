"""How often passwords may be tried, by whom, and that strangers lock nobody out."""

from search.dashboard.throttle import (
    ADDRESS_SECONDS,
    ALL_SECONDS,
    OF_KNOWN,
    OF_STRANGERS,
    PER_ADDRESS,
    LoginLimit,
)
from tests.search.dashboard.clock import Clock


def test_an_address_waits_after_some_tries_and_is_free_again_later() -> None:
    clock = Clock()
    limit = LoginLimit(clock)
    for _ in range(PER_ADDRESS):
        assert limit.wait_seconds("a") == 0
        clock.now += 1
    assert limit.wait_seconds("a") == ADDRESS_SECONDS - PER_ADDRESS
    assert limit.wait_seconds("b") == 0
    clock.now += ADDRESS_SECONDS - PER_ADDRESS
    assert limit.wait_seconds("a") == 0


def test_an_account_is_tried_a_hundred_times_an_hour_whatever_the_addresses() -> None:
    clock = Clock()
    limit = LoginLimit(clock)
    for number in range(10):
        assert limit.wait_seconds(f"known {number}") == 0
        limit.succeeded(f"known {number}")
    tried = 0
    for second in range(int(ALL_SECONDS)):
        clock.now += 1
        for address in (f"stranger {second}", f"known {second % 10}"):
            tried += limit.wait_seconds(address) == 0
    assert tried == OF_STRANGERS + OF_KNOWN == 100


def test_strangers_do_not_lock_out_who_has_logged_in_before() -> None:
    limit = LoginLimit(Clock())
    limit.wait_seconds("owner")
    limit.succeeded("owner")
    waits = [limit.wait_seconds(f"stranger {number}") for number in range(OF_STRANGERS + 1)]
    assert waits == [0] * OF_STRANGERS + [ALL_SECONDS]
    assert limit.wait_seconds("owner") == 0


def test_a_success_does_not_count_and_does_not_forgive() -> None:
    limit = LoginLimit(Clock())
    for _ in range(PER_ADDRESS - 1):
        limit.wait_seconds("a")
    for _ in range(3):
        assert limit.wait_seconds("a") == 0
        limit.succeeded("a")
    assert limit.wait_seconds("a") == 0
    assert limit.wait_seconds("a") == ADDRESS_SECONDS
