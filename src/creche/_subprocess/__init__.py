"""Other programs, run beside this one. Written once over the readiness verbs of the kernel contract.

    abc.py       the interface of a process
    pipes.py     the two ends of pipes that are ours, as byte streams
    exit.py      how the loop learns that a process has ended
    exchange.py  feeding a process and reading it to its end, in one wait
    spawner.py   the one thread that starts processes
    process.py   a process with its pipes
    open.py      `open_process`: from a command to a process
    run.py       `run_process`: from a command to its result

`abc.py`, `pipes.py`, `exit.py`, `exchange.py` and `spawner.py` are the lowest layer and do not import
each other; `run.py` is the top.
"""
