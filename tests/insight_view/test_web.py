"""`creche web` over real HTTP, without a browser: who is let in, and what an answer says to browsers."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from _viewing import Web, crowd, service, tell, web

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no UNIX sockets")


def connection_to(page: Web) -> http.client.HTTPConnection:
    host, _, port = page.host.partition(":")
    return http.client.HTTPConnection(host, int(port), timeout=30)


def ask(page: Web, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, Any]:
    connection = connection_to(page)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body.encode() or None, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


def key_of(page: Web) -> str:
    status, body, _ = ask(page, "POST", "/key", page.token, Origin=f"http://{page.host}")
    assert status == 200, body
    return str(json.loads(body)["key"])


def test_the_page_holds_no_data_and_each_answer_is_closed_to_others() -> None:
    with crowd() as target, web(target.pid) as page:
        status, body, headers = ask(page, "GET", "/")
        assert status == 200 and "Lock" not in body and str(target.pid) not in body
        for path in ("/", "/page.js", "/page.css", "/changes", "/nothing"):
            _, _, headers = ask(page, "GET", path)
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"


def test_the_door_is_before_every_path() -> None:
    with crowd() as target, web(target.pid) as page:
        for path in ("/", "/page.js", "/changes", "/stack?task=1"):
            assert ask(page, "GET", path, Host="evil.example")[0] == 421
            assert ask(page, "GET", path, Origin="http://evil.example")[0] == 403
        for path in ("/changes", "/stack?task=1"):
            assert ask(page, "GET", path)[0] == 403
            assert ask(page, "GET", path, Authorization="Bearer guess")[0] == 403
        assert ask(page, "POST", "/key", "guess", Origin=f"http://{page.host}")[0] == 403
        assert ask(page, "POST", "/key", page.token)[0] == 403
        assert ask(page, "POST", "/key", "x" * 1000, Origin=f"http://{page.host}")[0] == 413
        assert ask(page, "POST", "/key", page.token, Origin="http://evil.example")[0] == 403
        key_of(page)
        status, body, _ = ask(page, "POST", "/key", page.token, Origin=f"http://{page.host}")
        assert status == 403 and "good once" in body


def test_a_key_opens_the_messages_and_stacks() -> None:
    with service("end") as target, web(target.pid) as page:
        authorization = f"Bearer {key_of(page)}"
        connection = connection_to(page)
        connection.request("GET", "/changes", headers={"Authorization": authorization})
        answer = connection.getresponse()
        first = json.loads(answer.readline())
        assert first["full"] and first["program"]["pid"] == target.pid
        (worker,) = [each for each in first["tasks"] if each["name"] == "worker"]
        _, body, _ = ask(page, "GET", f"/stack?task={worker['id']}", Authorization=authorization)
        assert json.loads(body)[-1][1] == "worker"
        assert ask(page, "GET", "/stack?task=999999", Authorization=authorization)[1] == "null"
        for wrong in ("", "x", "-1", "1" * 30):
            assert ask(page, "GET", f"/stack?task={wrong}", Authorization=authorization)[0] == 400
        tell(target)
        target.wait()
        *_, last = answer.read().splitlines()  # it ends
        assert json.loads(last)["end"] == "The program has ended."
        connection.close()


def test_it_listens_on_this_machine_alone_and_ends_with_ctrl_c() -> None:
    with crowd() as target, web(target.pid) as page:
        key = key_of(page)
        connection = connection_to(page)
        connection.request("GET", "/changes", headers={"Authorization": f"Bearer {key}"})
        connection.getresponse().readline()
        page.process.send_signal(signal.SIGINT)
        out, err = page.process.communicate(timeout=30)
        connection.close()
        assert page.process.returncode == 130 and err == ""
        assert "For one more: http://127.0.0.1:" in out


@pytest.mark.parametrize(
    ("target", "wrong"),
    [
        ("999999999", "there is no process 999999999"),
        ("nothing", "neither the number of a process nor a file"),
        (__file__, "is not a recording"),
    ],
)
def test_a_target_that_cannot_be_shown_is_told_in_one_line(target: str, wrong: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "creche", "web", target], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and wrong in done.stderr and len(done.stderr.splitlines()) == 1
