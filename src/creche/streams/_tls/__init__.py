"""What a TLS stream is made of.

attributes.py   what a stream can tell of itself
context.py      what it begins with: contexts and names
records.py      what the bytes mean. Pure
state.py        what each direction can still do, and the errors that say so. Pure
tickets.py      what a server may still send to a client that never reads
writer.py       whose turn it is to write to the transport
stream.py       `TLSStream`
"""
