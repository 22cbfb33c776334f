"""The pytest plugin, written once for Creche's names and for AnyIO's.

What each module is for:

    contexts.py      one context made to look like another
    jobs.py          one coroutine to be run, and what it came to
    runner.py        a loop that runs such jobs in turn, in one task
    virtual.py       the same in virtual time
    leases.py        the runners that are alive, shared by all who ask for the same
    failures.py      why tests are cancelled from outside
    late_marks.py    marks that come after the collection
    bridges.py       async tests as functions that pytest can call
    fixtures.py      which backend a test runs on
    advice.py        what is said where a project cannot work as it is set up
    hooks.py         the hooks of pytest, for one set of names
    hangs.py         tests that take too long, and what their tasks do then
    explored.py      the options for explored tests
    ports.py         free ports
    anyio_plugin.py  the plugin under AnyIO's names

`creche.pytest_plugin` is the plugin under Creche's own. Nothing here knows an event loop but by its
name; hooks, fixtures and outcomes of pytest are known in `advice`, `bridges`, `fixtures`, `hooks`, `explored`, `ports`.
"""
