"""What device, hub and platform agree on, byte for byte: pure functions and frozen values.

Nothing here reads a clock, a file or a socket: `now`, keys and random bytes are arguments. The wire is
described in `protocol/README.md`; golden vectors for other implementations lie in `protocol/vectors/`.
"""
