"""Files and paths: the standard library's, with every call that may block made in a thread.

    thread.py     calls in threads: everything here goes through it
    base.py       the state of a path, and the methods that depend on the version of Python
    pure_path.py  what a path's text alone tells, without the disk
    listing.py    the entries of directories, a batch at a time
    file.py       open files
    path.py       `Path`
    tempfile.py   temporary files and directories
    spooled.py    a temporary file that is in memory while it is small

Only `thread.py` knows that there is an event loop.
"""
