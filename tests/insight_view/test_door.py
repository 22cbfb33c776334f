"""Who may see the page."""

from __future__ import annotations

import pytest

from creche._insight_view.door import HEADERS, Door, RefusedError

HOST = "127.0.0.1:4711"
ORIGIN = f"http://{HOST}"


@pytest.fixture
def door() -> Door:
    return Door(4711)


def token_of(door: Door) -> str:
    return door.address.partition("#")[2]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"host": "127.0.0.1:4712"}, 421),
        ({"host": "localhost:4711"}, 421),
        ({"host": "evil.example:4711"}, 421),
        ({"host": f"{HOST}.evil.example"}, 421),
        ({"host": HOST, "origin": "http://evil.example"}, 403),
        ({"host": HOST, "origin": "null"}, 403),
        ({"host": HOST, "origin": f"https://{HOST}"}, 403),
        ({"host": HOST, "sec-fetch-site": "cross-site"}, 403),
        ({"host": HOST, "sec-fetch-site": "same-site"}, 403),
    ],
)
def test_requests_of_other_sites_are_refused(
    door: Door, headers: dict[str, str], status: int
) -> None:
    with pytest.raises(RefusedError) as caught:
        door.check(headers)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "headers",
    [
        {"host": HOST},
        {"host": HOST, "sec-fetch-site": "none"},
        {"host": HOST, "origin": ORIGIN, "sec-fetch-site": "same-origin"},
    ],
)
def test_requests_of_the_page_are_let_in(door: Door, headers: dict[str, str]) -> None:
    door.check(headers)


def test_a_token_is_good_once_and_gives_a_key(door: Door) -> None:
    token = token_of(door)
    key = door.redeem(token, {"origin": ORIGIN})
    door.check_key({"authorization": f"Bearer {key}"})
    with pytest.raises(RefusedError, match="good once, and was used"):
        door.redeem(token, {"origin": ORIGIN})
    assert token_of(door) != token
    second = door.redeem(token_of(door), {"origin": ORIGIN})
    for each in (key, second):
        door.check_key({"authorization": f"Bearer {each}"})


@pytest.mark.parametrize("token", ["", "x", "\udcff", "x" * 10_000, "schlüssel"])
def test_a_wrong_token_is_refused(door: Door, token: str) -> None:
    with pytest.raises(RefusedError, match="not the one that the terminal shows"):
        door.redeem(token, {"origin": ORIGIN})


def test_a_token_without_an_origin_is_refused_and_stays_good(door: Door) -> None:
    with pytest.raises(RefusedError, match="only taken from the page itself"):
        door.redeem(token_of(door), {})
    assert door.redeem(token_of(door), {"origin": ORIGIN})


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer x", "Basic x", "Bearer schlüssel"]
)
def test_a_request_without_a_key_is_refused(door: Door, given: str) -> None:
    door.redeem(token_of(door), {"origin": ORIGIN})
    with pytest.raises(RefusedError, match="Open the address"):
        door.check_key({"authorization": given})


def test_the_token_is_in_a_part_of_the_address_that_is_never_sent(door: Door) -> None:
    address, mark, token = door.address.partition("#")
    assert address == f"{ORIGIN}/" and mark and len(token) > 40


def test_the_policy_lets_nothing_in_that_is_not_ours() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert (
        "unsafe" not in policy
        and "http" not in policy
        and "*" not in policy
        and "data:" not in policy
    )
