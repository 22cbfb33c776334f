"""Names to addresses and back: what needs no thread, what users see, how names are encoded."""

from __future__ import annotations

import socket
from typing import Any, NoReturn

import pytest

from creche import getaddrinfo, getnameinfo
from creche._net import addresses
from creche._net.addresses import describe, encode_host, public_address

NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        pytest.fail("asked the resolver for what is a number")

    monkeypatch.setattr(addresses, "run_sync", refuse)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (("127.0.0.1", 80), ("127.0.0.1", 80)),
        (("::1", 80, 0, 0), ("::1", 80)),
        (("fe80::1", 80, 0, 2), ("fe80::1%2", 80)),
        (("fe80::1%eth0", 80, 0, 2), ("fe80::1%eth0", 80)),
        ("/run/socket", "/run/socket"),
    ],
)
def test_an_address_is_shown_as_host_and_port(given: Any, shown: Any) -> None:
    assert public_address(given) == shown


def test_an_address_reads_well_in_a_message() -> None:
    assert describe(("::1", 80, 0, 0)) == "::1 port 80"
    assert describe("/run/socket") == "'/run/socket'"


@pytest.mark.usefixtures("no_thread")
@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", 80, ("127.0.0.1", 80)),
        ("127.0.0.1", "80", ("127.0.0.1", 80)),
        (b"127.0.0.1", 80, ("127.0.0.1", 80)),
        ("::1", 80, ("::1", 80)),
        ("::1", None, ("::1", 0)),
        ("fe80::1%1", 80, ("fe80::1%1", 80)),
    ],
)
async def test_numbers_are_resolved_without_a_thread(host: Any, port: Any, address: Any) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    expected = [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]
    assert await getaddrinfo(host, port, type=socket.SOCK_STREAM) == expected


async def test_a_name_is_resolved_in_a_thread() -> None:
    found = await getaddrinfo("localhost", 80, family=socket.AF_INET, type=socket.SOCK_STREAM)
    assert (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80)) in found


async def test_a_service_without_a_number_is_an_error_that_names_it() -> None:
    with pytest.raises(socket.gaierror, match=r"host '127\.0\.0\.1', port 'no such service'"):
        await getaddrinfo("127.0.0.1", "no such service")


async def test_a_port_is_not_taken_modulo_65536() -> None:
    with pytest.raises(OverflowError, match="port must be 0-65535, not 65616"):
        await getaddrinfo("127.0.0.1", 65536 + 80)


async def test_a_label_that_is_too_long_is_a_name_that_does_not_exist() -> None:
    for letter in "aä":
        with pytest.raises(socket.gaierror):
            await getaddrinfo(letter * 70, 80)


def test_ascii_names_are_left_alone() -> None:
    assert encode_host("An_Odd.Example") == b"An_Odd.Example"


def test_international_names_are_encoded_by_idna_2008() -> None:
    assert encode_host("faß.example") == b"xn--fa-hia.example"
    assert encode_host("Bücher.Example") == b"xn--bcher-kva.example"


def test_what_is_no_international_name_does_not_exist() -> None:
    with pytest.raises(socket.gaierror, match="not a valid international host name"):
        encode_host("ä" * 70)


@pytest.mark.usefixtures("no_thread")
async def test_the_numbers_of_an_address_need_no_thread() -> None:
    assert await getnameinfo(("127.0.0.1", 80), NUMERIC) == ("127.0.0.1", "80")
    assert await getnameinfo(("::1", 80), NUMERIC) == ("::1", "80")


async def test_an_address_is_looked_up_in_a_thread() -> None:
    expected = socket.getnameinfo(("127.0.0.1", 80), 0)
    assert await getnameinfo(("127.0.0.1", 80)) == expected


async def test_getnameinfo_wants_an_address_and_says_which_it_got() -> None:
    with pytest.raises(socket.gaierror, match=r"address \('localhost', 80\)"):
        await getnameinfo(("localhost", 80))
