"""The pytest plugin, written once for Creche's names and for AnyIO's.

    contexts.py      copies variables from one context to another
    jobs.py          one coroutine to be run, and its outcome
    runner.py        a loop that runs such jobs in turn, in one task
    virtual.py       the same in virtual time
    leases.py        the runners that are alive, shared by fixtures and tests
    failures.py      why tests are cancelled from outside
    frames.py        which frames a failure shows
    late_marks.py    marks that are added after the collection
    bridges.py       async tests as functions that pytest can call
    fixtures.py      which backend a test runs on
    advice.py        messages about a project's settings that cannot work
    hooks.py         the hooks of pytest, for one set of names
    hangs.py         tests that take too long, and what their tasks do then
    explored.py      the options for explored tests
    ports.py         free ports
    anyio_plugin.py  the plugin under AnyIO's names

`creche.pytest_plugin` is the plugin under Creche's own names. Nothing here knows more of an event loop
than its name. Only these use pytest's hooks, fixtures and outcomes: `advice`, `bridges`, `fixtures`,
`frames`, `hooks`, `explored`, `ports`.
"""
