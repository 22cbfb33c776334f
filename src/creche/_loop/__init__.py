"""The event loop as a program sees it: running one, its clock, its token, its variables."""
