"""What shows a program to a person: the page and the terminal. Runs in the viewer's process alone.

changes.py     snapshots as the messages that the page understands: what has changed
history.py     the messages of the last minutes, for pages that come later or read slowly
source.py      asks the target once a second while somebody looks
door.py        who may see the page: token, key, Host, Origin, and the headers that close it
web.py         the page's server, on Starlette and uvicorn
rows.py        tasks as the rows of a tree: folded, found, sorted, compared
causes.py      from a task that waits to what holds it up in the end
keys.py        the keys of a terminal, one at a time
terminal.py    `creche top`
static/        the page: HTML, CSS and JavaScript without a framework
"""
