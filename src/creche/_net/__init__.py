"""Sockets, written once over the readiness verbs of the kernel contract.

    arguments.py       what is given as a host, a port or a datagram
    addresses.py       names to addresses and back; the types and forms of addresses
    attributes.py      `SocketAttribute`: what an object over a socket can tell of it
    adopt.py           sockets that come from elsewhere: what they must be
    options.py         options of sockets that a platform may not have
    owned.py           a socket that belongs to one of our objects, and the watch on it
    socket_file.py     the files of UNIX sockets
    stream.py          a connected socket
    unix_stream.py     a connected UNIX socket, which carries descriptors too
    listener.py        a listening socket
    datagram.py        what all datagram sockets share
    udp.py             UDP sockets
    unix_datagram.py   UNIX datagram sockets
    eyeballs.py        which address to try next (RFC 8305), and the race between them
    tcp.py             `connect_tcp`, `create_tcp_listener`
    unix.py            `connect_unix`, `create_unix_listener`
    connectables.py    descriptions of how to open a stream, to be opened later
    readiness.py       `wait_readable` and similar functions, for sockets that stay the user's

A public class and the class that implements it are in one file. Each file imports only files above it in
this list; a contract in `pyproject.toml` checks that.
"""
