"""`lru_cache` and `cache`: what is kept, for how long, and for whom."""

from __future__ import annotations

import functools as sync_functools
import gc
import inspect
import pickle
import sys
import threading
import weakref
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import creche
from _harness import Backend
from creche import (
    CancelScope,
    Event,
    NoEventLoopError,
    create_task_group,
    sleep,
    wait_all_tasks_blocked,
)
from creche.functools import (
    AsyncCacheInfo,
    AsyncCacheParameters,
    AsyncLRUCacheWrapper,
    cache,
    lru_cache,
    lru_cache_items,
)
from creche.lowlevel import checkpoint


class Counting:
    """An async function that counts its calls, as a thing to be cached."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def __call__(self, number: Any) -> Any:
        self.calls.append(number)
        await checkpoint()
        return number


# What is kept


async def test_a_second_call_does_not_run_the_function() -> None:
    calls: list[int] = []

    @lru_cache
    async def double(number: int) -> int:
        """Double it."""
        calls.append(number)
        return number * 2

    assert [await double(1), await double(1), await double(2)] == [2, 2, 4]
    assert calls == [1, 2]
    assert double.cache_info() == AsyncCacheInfo(1, 2, 128, 2, None)
    assert vars(double)["__name__"] == "double"
    assert double.__doc__ == "Double it."
    assert await double.__wrapped__(1) == 2
    assert calls == [1, 2, 1]


async def test_the_least_recently_used_result_makes_room() -> None:
    counting = Counting()
    cached = lru_cache(counting, maxsize=2)
    for number in (1, 2, 1, 3, 1, 2):
        await cached(number)
    assert counting.calls == [1, 2, 3, 2]
    assert cached.cache_info() == AsyncCacheInfo(2, 4, 2, 2, None)


@pytest.mark.parametrize("maxsize", [0, -5])
async def test_a_cache_without_room_calls_each_time(maxsize: int) -> None:
    counting = Counting()
    cached = lru_cache(counting, maxsize=maxsize)
    await cached(1)
    await cached(1)
    assert counting.calls == [1, 1]
    assert cached.cache_info() == AsyncCacheInfo(0, 2, 0, 0, None)


async def test_cache_has_no_limit() -> None:
    counting = Counting()
    cached = cache(counting)
    for number in range(1000):
        await cached(number)
    await cached(0)
    assert cached.cache_info() == AsyncCacheInfo(1, 1000, None, 1000, None)


async def test_typed_tells_one_from_one_point_zero() -> None:
    counting = Counting()
    await (typed := lru_cache(counting, typed=True))(1)
    await typed(1.0)
    await typed(number=1)
    await typed(number=1.0)
    assert len(counting.calls) == 4
    await (untyped := lru_cache(counting))(1)
    await untyped(1.0)
    assert len(counting.calls) == 5


async def test_keywords_are_part_of_the_key() -> None:
    @lru_cache
    async def join(a: str, b: str = "-", *, c: str = "-") -> str:
        return a + b + c

    assert await join("x", c="y") == "x-y"
    assert await join("x", b="y") == "xy-"
    assert await join("x", "y") == "xy-"
    assert await join("x", c="y") == "x-y"
    assert join.cache_info()[:2] == (1, 3)


async def test_none_is_a_result_like_any_other() -> None:
    counting = Counting()
    cached = lru_cache(counting)
    assert [await cached(None), await cached(None)] == [None, None]
    assert counting.calls == [None]


async def test_an_argument_that_is_not_hashable_is_a_type_error() -> None:
    counting = Counting()
    with pytest.raises(TypeError, match="unhashable"):
        await lru_cache(counting)([])
    assert counting.calls == []


async def test_results_are_too_old_after_the_ttl() -> None:
    counting = Counting()
    cached = lru_cache(counting, ttl=5)
    await cached(1)
    await cached(1)
    assert counting.calls == [1]
    assert cached.cache_info() == AsyncCacheInfo(1, 1, 128, 1, 5)
    at_once = lru_cache(counting, ttl=0)
    await at_once(2)
    await at_once(2)
    assert counting.calls == [1, 2, 2]
    soon: Any = lru_cache(counting, ttl=0.02)  # type: ignore[call-overload]  # fractions work too
    await soon(3)
    await sleep(0.03)
    await soon(3)
    assert counting.calls == [1, 2, 2, 3, 3]
    assert soon.cache_info().currsize == 1


async def test_clearing_forgets_results_and_counts() -> None:
    counting = Counting()
    cached = lru_cache(counting)
    await cached(1)
    await cached(1)
    cached.cache_clear()
    assert cached.cache_info() == AsyncCacheInfo(0, 0, 128, 0, None)
    await cached(1)
    assert counting.calls == [1, 1]


async def test_a_call_under_way_is_not_cached_after_a_clear() -> None:
    go = Event()
    counting = Counting()

    @lru_cache
    async def waiting(number: int) -> int:
        await counting(number)
        await go.wait()
        return number

    async with create_task_group() as group:
        first = group.create_task(waiting(1))
        await wait_all_tasks_blocked()
        waiting.cache_clear()
        second = group.create_task(waiting(1))
        await wait_all_tasks_blocked()
        assert counting.calls == [1, 1]
        go.set()
    assert (first.return_value, second.return_value) == (1, 1)
    assert waiting.cache_info().currsize == 1


async def test_parameters_are_those_given() -> None:
    cached = lru_cache(Counting(), maxsize=3, typed=True, always_checkpoint=True, ttl=7)
    assert cached.cache_parameters() == {
        "maxsize": 3,
        "typed": True,
        "always_checkpoint": True,
        "ttl": 7,
    }


# Methods, and what is not an async function


class Owner:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    @lru_cache
    async def method(self, number: int) -> int:
        self.calls.append(number)
        return number

    @classmethod
    @lru_cache
    async def of_class(cls, number: int) -> tuple[type, int]:
        return cls, number

    @staticmethod
    @lru_cache
    async def static(number: int) -> int:
        return number


async def test_methods_are_cached_for_each_instance() -> None:
    one, other = Owner(), Owner()
    for owner in (one, one, other):
        assert await owner.method(1) == 1
    assert (one.calls, other.calls) == ([1], [1])
    assert one.method.cache_info() == Owner.method.cache_info() == (1, 2, 128, 2, None)
    assert await Owner.of_class(1) == await one.of_class(1) == (Owner, 1)
    assert await Owner.static(1) == await one.static(1) == 1
    Owner.method.cache_clear()


def test_a_synchronous_function_gets_the_standard_cache() -> None:
    @lru_cache(maxsize=5)
    def double(number: int) -> int:
        return number * 2

    assert double(2) == double(2) == 4
    assert double.cache_info() == (1, 1, 5, 1)
    assert isinstance(cache(abs), type(sync_functools.cache(abs)))
    assert isinstance(lru_cache(abs), type(sync_functools.cache(abs)))


def test_partial_functions_and_callable_objects_are_recognised() -> None:
    assert isinstance(cache(Counting()), AsyncLRUCacheWrapper)
    assert isinstance(cache(sync_functools.partial(Counting().__call__, 1)), AsyncLRUCacheWrapper)


@pytest.mark.parametrize("decorate", [cache, lru_cache, lru_cache(), lru_cache(maxsize=3)])
def test_what_cannot_be_called_is_refused(decorate: Any) -> None:
    with pytest.raises(TypeError, match="the first argument must be callable"):
        decorate(5)


def test_a_size_that_is_no_number_is_refused() -> None:
    async def function() -> None: ...

    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        lru_cache(function, maxsize="many")  # type: ignore[call-overload]


def test_a_cached_function_is_known_as_a_coroutine_function() -> None:
    markable = sys.version_info >= (3, 12)
    assert inspect.iscoroutinefunction(Owner.static) is markable
    assert inspect.iscoroutinefunction(Owner().method) is markable


# Checkpoints


async def test_a_hit_is_no_checkpoint_unless_asked_for() -> None:
    quick, polite = lru_cache(Counting()), lru_cache(Counting(), always_checkpoint=True)
    await quick(1)
    await polite(1)
    with CancelScope() as scope:
        scope.cancel()
        assert await quick(1) == 1
        await polite(1)
        pytest.fail("the second is a checkpoint")
    assert scope.cancelled_caught


async def test_always_checkpoint_lets_others_run() -> None:
    polite = lru_cache(Counting(), always_checkpoint=True)
    await polite(1)
    ran: list[str] = []

    async def other() -> None:
        ran.append("other")

    async with create_task_group() as group:
        group.start_soon(other)
        for _ in range(2):  # Trio may let this task be the first once
            await polite(1)
        assert ran == ["other"]


# Loops


def test_each_loop_has_a_cache_of_its_own(backend: Backend) -> None:
    counting = Counting()
    cached = lru_cache(counting)

    async def call() -> tuple[int, ...]:
        await cached(1)
        await cached(1)
        return tuple(cached.cache_info()[:4])  # type: ignore[arg-type]

    assert backend.run(call) == (1, 1, 128, 1)
    assert backend.run(call) == (2, 2, 128, 1)
    assert counting.calls == [1, 1]


def test_loops_in_two_threads_do_not_meet(backend: Backend) -> None:
    cached = lru_cache(Counting())
    results: list[list[int]] = []

    async def call() -> None:
        results.append([await cached(number % 7) for number in range(500)])

    threads = [threading.Thread(target=backend.run, args=(call,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[number % 7 for number in range(500)]] * 3


def test_outside_a_loop_there_are_counts_but_nothing_to_clear() -> None:
    cached = lru_cache(Counting())
    creche.run(cached, 1)
    assert cached.cache_info() == AsyncCacheInfo(0, 1, 128, 0, None)
    with pytest.raises(NoEventLoopError):
        cached.cache_clear()


class Heavy:
    """Something that can be watched as it goes."""


def test_what_was_cached_goes_with_the_loop(backend: Backend) -> None:
    @lru_cache
    async def make(number: int) -> Heavy:
        return Heavy()

    async def call() -> weakref.ref[Heavy]:
        return weakref.ref(await make(1))

    reference = backend.run(call)
    gc.collect()
    assert reference() is None


async def test_what_was_cached_goes_with_the_function() -> None:
    async def call() -> weakref.ref[Heavy]:
        @lru_cache
        async def make(number: int) -> Heavy:
            return Heavy()

        return weakref.ref(await make(1))

    reference = await call()
    gc.collect()
    assert reference() is None


async def test_lru_cache_items_knows_the_functions_of_this_loop() -> None:
    cached = lru_cache(Counting())
    await cached(1)
    assert cached in lru_cache_items.get()


def test_what_a_cache_tells_can_be_pickled_and_is_known_by_its_public_name() -> None:
    for public in (AsyncCacheInfo, AsyncCacheParameters, AsyncLRUCacheWrapper):
        assert public.__module__ == "creche.functools"
    told = AsyncCacheInfo(1, 2, 3, 4, None)
    assert pickle.loads(pickle.dumps(told)) == told


def test_a_cached_method_of_a_pickled_object_works_again(backend: Backend) -> None:
    owner = pickle.loads(pickle.dumps(Owner()))
    assert backend.run(owner.method, 4) == 4


# All of it at once, against a model


@given(st.integers(0, 4), st.lists(st.tuples(st.sampled_from("callclear"), st.integers(0, 6))))
async def test_it_keeps_what_a_model_keeps(maxsize: int, moves: list[tuple[str, int]]) -> None:
    counting = Counting()
    cached = lru_cache(counting, maxsize=maxsize)
    model: OrderedDict[int, None] = OrderedDict()
    expected: list[int] = []
    for move, number in moves:
        if move == "r":
            cached.cache_clear()
            model.clear()
            continue
        assert await cached(number) == number
        if number in model:
            model.move_to_end(number)
        else:
            expected.append(number)
            model[number] = None
            if len(model) > maxsize:
                model.popitem(last=False)
    assert counting.calls == expected
    assert cached.cache_info().currsize == len(model)
