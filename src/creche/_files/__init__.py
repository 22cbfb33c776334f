"""Files and paths: the standard library's, with every call that may block made in a thread.

    thread.py     the only door to the threads: all here goes through it
    base.py       what a path has of the paths below it, and of this version of Python
    pure_path.py  what a path says of itself, without a look at the disk
    listing.py    what is found in directories, a batch at a time
    file.py       open files
    path.py       `Path`
    tempfile.py   temporary files and directories
    spooled.py    a temporary file that is in memory while it is small

Nothing here knows a loop but by `thread.py`.
"""
