"""Functions that run outside this process or this interpreter: calls that are sent as bytes.

    processes.py         a call from a task into a worker process
    worker_main.py       what such a process does
    interpreters.py      a call from a task into a subinterpreter
    interpreter_main.py  what happens there
    outcomes.py          what the two of them have in common
    executors.py         a call on an executor of somebody else's

Knows no event loop beyond the contract.
"""
