"""Words that a run tries: what decoders of that form have been known to stumble over."""

CBOR_WORDS = (
    *(bytes([major << 5 | tail]) + b"\xff" * (1 << tail - 24) for major in range(6) for tail in (24, 25, 26, 27)),
    *(bytes([major << 5 | 31]) for major in (2, 3, 4, 5)),
    b"\xf4",
    b"\xf5",
    b"\xf6",
    b"\xf7",
    b"\xff",
    b"\xf9\x7e\x00",
    b"\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",
    b"\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\xd8\x1c\x80",
    b"\xd8\x1d\x00",
    b"\x63\xed\xa0\x80",
    b"\x1b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x1b\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\x1b\x00\x00\x00\x01\x00\x00\x00\x00",
    b"\x18\x41",
    b"\x39\xff\xff",
)
"""Long heads, indefinite lengths, not-a-number, infinity, tags that refer to themselves, a lone surrogate."""

TOML_WORDS = (
    b"nan",
    b"inf",
    b"'''",
    b'"""',
    b"[[",
    b"1e400",
    b"0x",
    b"\\u0000",
    b"1979-05-27T07:32:00Z",
    b"= {",
    b"a.b",
)
JSON_WORDS = (
    b"1e400",
    b"NaN",
    b"\\ud800",
    b"null",
    b"18446744073709551616",
    b"[[[[",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
)
