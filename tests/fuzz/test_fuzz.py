"""A short run of the fuzzer; `make fuzz MINUTES=60` is the long one."""

from collections.abc import Iterator
from time import process_time

import pytest

from tests.fuzz.bench import KINDS, Bench

SECONDS = 2.0
MOST_CASES = 30


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param, seed=1)
    yield made
    made.close()


def test_the_contract_holds(bench: Bench) -> None:
    began = process_time()
    for number in range(MOST_CASES):
        outcome = bench.run(number)
        assert not outcome.breach, f"case {number}: {outcome.breach}\n{outcome.said}"
        if process_time() - began > SECONDS:
            break
