"""TLS streams: the records, what carries them, and the stream."""
