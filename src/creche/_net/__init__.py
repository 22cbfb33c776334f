"""Sockets, written once over the readiness verbs of the kernel contract.

    abc.py         what a stream and a listener over a socket promise; `SocketAttribute`
    addresses.py   names to addresses and back; the forms in which addresses are shown
    eyeballs.py    which address to try next (RFC 8305), and the race between them
    adopt.py       sockets that come from elsewhere: what they must be
    stream.py      a connected socket       listener.py   a listening socket
    tcp.py         `connect_tcp`, `create_tcp_listener`
    datagram.py    what all datagram sockets share
    udp.py         UDP sockets            unix_datagram.py  UNIX datagram sockets
    unix.py        UNIX streams           socket_file.py    the files of UNIX sockets
    connectables.py  how to open a stream, told now and done later
    readiness.py   `wait_readable` and its kin, for sockets that stay the user's

`abc.py` and `addresses.py` are the ground floor; `tcp.py`, `udp.py` and the two for UNIX sockets
stand on the rest, and `connectables.py` on them.
"""
