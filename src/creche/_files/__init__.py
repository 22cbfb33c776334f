"""Files and paths: the standard library's, with every call that may block made in a thread.

`file.py` has the open files; `path.py` the paths, which stand on `names.py` and `base.py`;
`listing.py` what is found in directories, a batch at a time; `tempfile.py` and `spooled.py` the
temporary files. `thread.py` is the only door to the threads: all here goes through it, and nothing
here knows a loop otherwise.
"""
