"""What mirrors the standard library has what that of the running Python has.

A new Python may bring a new function or argument: then these tests name it.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

import creche
import creche.functools
import creche.itertools
from creche.streams.tls import TLSAttribute

TEMPFILE = (
    "NamedTemporaryFile", "SpooledTemporaryFile", "TemporaryDirectory", "TemporaryFile", "mkdtemp",
    "mkstemp", "gettempdir", "gettempdirb",
)  # fmt: skip


def arguments(function: Callable[..., Any]) -> set[str]:
    return {*inspect.signature(function).parameters} - {"args", "kwargs"}


@pytest.mark.parametrize("name", TEMPFILE)
def test_the_arguments_of_tempfile(name: str) -> None:
    theirs, ours = getattr(tempfile, name), getattr(creche, name)
    assert arguments(theirs) - arguments(ours) == set()


def test_the_functions_of_tempfile() -> None:
    names = {
        "SpooledTemporaryFile",
        *(n for n in tempfile.__all__ if n[0].islower() or "Temp" in n),
    }
    plain = {"gettempprefix", "gettempprefixb", "tempdir", "template", "mktemp"}
    assert {name for name in names - plain if not hasattr(creche, name)} == set()


def test_the_tools_of_itertools() -> None:
    theirs = {name for name in dir(itertools) if not name.startswith("_")}
    assert {name for name in theirs if not hasattr(creche.itertools, name)} == set()


def told_arguments() -> list[str]:
    """Return the tools whose arguments Python tells: of some, written in C, it does not."""
    told: list[str] = []
    for name in dir(itertools):
        try:
            inspect.signature(getattr(itertools, name))
        except (ValueError, TypeError):
            continue
        told.append(name)
    return [name for name in told if not name.startswith("_")]


@pytest.mark.parametrize("name", told_arguments())
def test_the_arguments_of_itertools(name: str) -> None:
    theirs = inspect.signature(getattr(itertools, name)).parameters.values()
    ours = inspect.signature(getattr(creche.itertools, name)).parameters
    named = {each.name for each in theirs if each.kind is each.KEYWORD_ONLY}
    assert named - {*ours} == set()
    kinds = {each.kind for each in ours.values()}
    places = len([each for each in theirs if each.kind is not each.KEYWORD_ONLY])
    assert inspect.Parameter.VAR_POSITIONAL in kinds or len(ours) >= places


def test_the_functions_of_functools() -> None:
    """Those that call a function of yours; the others work on async functions as they are."""
    theirs = {"cache", "lru_cache", "reduce"}
    work_as_they_are = {
        "Placeholder", "WRAPPER_ASSIGNMENTS", "WRAPPER_UPDATES", "cached_property", "cmp_to_key",
        "partial", "partialmethod", "singledispatch", "singledispatchmethod", "total_ordering",
        "update_wrapper", "wraps",
    }  # fmt: skip
    assert {*functools.__all__} - theirs - work_as_they_are == set()
    for name in theirs:
        assert hasattr(creche.functools, name)


def test_the_arguments_of_popen() -> None:
    """What is not passed on: text and buffers, which streams have; and what a thread makes unsafe."""
    elsewhere = {
        "args", "bufsize", "close_fds", "encoding", "errors", "executable", "pipesize", "preexec_fn",
        "process_group", "restore_signals", "shell", "text", "universal_newlines",
    }  # fmt: skip
    theirs = arguments(subprocess.Popen) - elsewhere
    assert theirs - arguments(creche.open_process) == set()
    assert theirs - arguments(creche.run_process) == set()


def test_what_a_tls_connection_tells_of_itself() -> None:
    as_attributes = {
        "cipher", "client_sigalg", "group", "server_side", "server_sigalg", "shared_ciphers",
    }  # fmt: skip
    renamed = {"get_channel_binding", "getpeercert", "selected_alpn_protocol", "version"}
    of_the_object = {  # by `TLSAttribute.ssl_object`
        "compression", "context", "do_handshake", "get_unverified_chain", "get_verified_chain",
        "pending", "read", "selected_npn_protocol", "server_hostname", "session", "session_reused",
        "unwrap", "verify_client_post_handshake", "write",
    }  # fmt: skip
    theirs = {name for name in dir(ssl.SSLObject) if not name.startswith("_")}
    assert theirs - as_attributes - renamed - of_the_object == set()
    for name in as_attributes:
        assert hasattr(TLSAttribute, name)


def test_the_arguments_of_socket() -> None:
    assert arguments(socket.getaddrinfo) - arguments(creche.getaddrinfo) == set()
    # Written in C, so Python does not tell its arguments in each version: an address and flags.
    assert [*inspect.signature(creche.getnameinfo).parameters] == ["sockaddr", "flags"]
    with pytest.raises(TypeError):
        getattr(socket, "getnameinfo")(("127.0.0.1", 80), 0, None)  # noqa: B009  # to type checkers it is wrong too
