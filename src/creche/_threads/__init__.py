"""Worker threads, calls from threads into event loops, and blocking portals."""
