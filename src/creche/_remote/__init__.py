"""Where functions run that must not run in the event loop: threads, processes, interpreters.

What each room is for:

    pool.py          worker threads: who runs what, who sleeps, who ends
    threads.py       a call from a task into a worker thread
    doorway.py       a call from a thread into an event loop, and the thread's wait for it
    portal.py        blocking portals: an event loop as seen from other threads; their calls are in
                     portal_calls.py, a thread with a loop for one in portal_thread.py
    processes.py     a call from a task into a worker process; worker_main.py is what that does
    interpreters.py  a call from a task into a subinterpreter; interpreter_main.py is what that does
    outcomes.py      what the two of them have in common
"""
