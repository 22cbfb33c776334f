"""What a browser does not have: each call says so at once. Runs in Pyodide."""

# ruff: noqa: F704, PLE1142, PT017
# mypy: ignore-errors
# pyright: basic

import signal

import creche
from creche import from_thread, to_interpreter, to_process, to_thread

CALLS = {
    "connect_tcp": lambda: creche.connect_tcp("127.0.0.1", 80),
    "connect_tcp by name": lambda: creche.connect_tcp("example.org", 80),
    "create_tcp_listener": lambda: creche.create_tcp_listener(local_host="127.0.0.1"),
    "create_udp_socket": lambda: creche.create_udp_socket(local_host="127.0.0.1"),
    "create_connected_udp_socket": lambda: creche.create_connected_udp_socket("127.0.0.1", 9),
    "connect_unix": lambda: creche.connect_unix("/tmp/socket"),
    "create_unix_listener": lambda: creche.create_unix_listener("/tmp/socket"),
    "getaddrinfo": lambda: creche.getaddrinfo("localhost", 80),
    "to_thread": lambda: to_thread.run_sync(int, "3"),
    "to_process": lambda: to_process.run_sync(int, "3"),
    "to_interpreter": lambda: to_interpreter.run_sync(int, "3"),
    "run_process": lambda: creche.run_process("ls"),
    "open_process": lambda: creche.open_process("ls"),
    "open_file": lambda: creche.open_file("/tmp/file"),
    "Path.exists": lambda: creche.Path("/tmp").exists(),
    "portal": lambda: from_thread.start_blocking_portal().__enter__(),
    "signals": lambda: creche.open_signal_receiver(signal.SIGINT),
}
for name, call in CALLS.items():
    try:
        with creche.fail_after(5):
            await call()
    except NotImplementedError as exc:
        assert "in a browser (emscripten): " in str(exc), (name, exc)
    else:
        raise AssertionError(f"{name} claims to work")
print("all of it")
