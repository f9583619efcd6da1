"""What parent and child say to each other: one message a frame, and the child's word is hostile.

The picture itself lies in shared memory, rows packed. Messages are single packets (SOCK_SEQPACKET), little endian:

    hello     4s magic, u8 jail flags (1 = system calls filtered)       child -> parent, once, from inside the jail
    request   u64 seq, u32 width, u32 height, u8 effort                 parent -> child
    answer    u64 seq, u8 flags (1 = overflow, 2 = something looked like a code), u8 count, then count times:
              u16 length, bytes
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from protocol.limits import QR_TEXT_CHARS

# A view holds one code, or a few by mistake; "several" is known at two. More only helps a flood.
TEXTS_MAX = 8
# The longest text any stage after this one takes; a QR can hold 7,089 digits.
TEXT_BYTES_MAX = QR_TEXT_CHARS

_MAGIC = b"GLD1"
_HELLO = struct.Struct("<4sB")
_REQUEST = struct.Struct("<QIIB")
_ANSWER = struct.Struct("<QBB")
_LENGTH = struct.Struct("<H")
_FILTERED = 1
_OVERFLOW = 1
_CODE_LIKE = 2

MESSAGE_BYTES_MAX = _ANSWER.size + TEXTS_MAX * (_LENGTH.size + TEXT_BYTES_MAX)


class WireError(ValueError):
    """The other side said something outside this page."""


class Effort(IntEnum):
    """What a picture is worth: the next frame of a camera, one that may cost more, or a picture that stands alone."""

    GLANCE = 0
    CLOSER = 1
    STILL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The child is in its jail and has read its test picture there."""

    seccomp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Read the picture of `width` x `height` pixels that lies in the shared memory."""

    seq: int
    width: int
    height: int
    effort: Effort


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """At most TEXTS_MAX texts of at most TEXT_BYTES_MAX bytes; `overflow` when there was more."""

    seq: int
    texts: tuple[bytes, ...]
    overflow: bool
    code_like: bool = False


_EFFORTS = {effort.value: effort for effort in Effort}


def pack_hello(hello: Hello) -> bytes:
    """Hello -> bytes."""
    return _HELLO.pack(_MAGIC, _FILTERED if hello.seccomp else 0)


def parse_hello(data: bytes) -> Hello:
    """Bytes -> Hello. Raises WireError."""
    if len(data) != _HELLO.size:
        raise WireError(f"a hello of {len(data)} bytes")
    magic, flags = _HELLO.unpack(data)
    if magic != _MAGIC or flags & ~_FILTERED:
        raise WireError("not a hello")
    return Hello(seccomp=bool(flags & _FILTERED))


def pack_request(request: Request) -> bytes:
    """Request -> bytes."""
    return _REQUEST.pack(request.seq, request.width, request.height, request.effort)


def parse_request(data: bytes, *, frame_px_max: int) -> Request:
    """Bytes -> Request whose picture fits into the memory. Raises WireError."""
    if len(data) != _REQUEST.size:
        raise WireError(f"a request of {len(data)} bytes")
    seq, width, height, effort = _REQUEST.unpack(data)
    if not 0 < width * height <= frame_px_max:
        raise WireError(f"a picture of {width} x {height} in a memory of {frame_px_max}")
    if effort not in _EFFORTS:
        raise WireError(f"an effort of {effort}")
    return Request(seq=seq, width=width, height=height, effort=_EFFORTS[effort])


def pack_answer(seq: int, texts: Iterable[bytes], *, code_like: bool = False) -> bytes:
    """Cut what was read down to the limits, each text once, and pack it."""
    distinct = tuple(dict.fromkeys(texts))
    kept = [text for text in distinct if len(text) <= TEXT_BYTES_MAX][:TEXTS_MAX]
    flags = (_OVERFLOW if len(kept) < len(distinct) else 0) | (_CODE_LIKE if code_like else 0)
    parts = [_ANSWER.pack(seq, flags, len(kept))]
    for text in kept:
        parts += (_LENGTH.pack(len(text)), text)
    return b"".join(parts)


def parse_answer(data: bytes, *, seq: int) -> Answer:
    """Bytes -> Answer to the request `seq`, and to no other. Raises WireError."""
    if len(data) < _ANSWER.size:
        raise WireError(f"an answer of {len(data)} bytes")
    said, flags, count = _ANSWER.unpack_from(data)
    if said != seq or flags & ~(_OVERFLOW | _CODE_LIKE) or count > TEXTS_MAX:
        raise WireError("an answer to another question, or with unknown flags")
    texts, at = [], _ANSWER.size
    for _ in range(count):
        if len(data) < at + _LENGTH.size:
            raise WireError("an answer that ends inside a length")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length > TEXT_BYTES_MAX or len(data) < at + length:
            raise WireError(f"a text of {length} bytes")
        texts.append(data[at : at + length])
        at += length
    if at != len(data):
        raise WireError("bytes after the answer")
    return Answer(seq=seq, texts=tuple(texts), overflow=bool(flags & _OVERFLOW), code_like=bool(flags & _CODE_LIKE))
