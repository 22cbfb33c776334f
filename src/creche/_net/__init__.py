"""Sockets, written once over the readiness verbs of the kernel contract.

    abc.py         what a stream and a listener over a socket promise; `SocketAttribute`
    addresses.py   names to addresses and back; the forms in which addresses are shown
    eyeballs.py    which address to try next (RFC 8305), and the race between them
    adopt.py       sockets that come from elsewhere: what they must be
    stream.py      a connected socket       listener.py   a listening socket
    tcp.py         `connect_tcp`, `create_tcp_listener`
    readiness.py   `wait_readable` and its kin, for sockets that stay the user's

`abc.py` and `addresses.py` are the ground floor; `tcp.py` is the top.
"""
