"""Vectors of status lists.

The zlib streams are written by hand, in stored blocks: what a compressor makes differs from one version to the next.
"""  # noqa: INP001 - as raw.py

import zlib
from typing import Any

from protocol import cbor
from protocol.envelope import AAD_STATUS_DELTA, AAD_STATUS_LIST, TYP_STATUS_LIST
from protocol.limits import STATUS_ENTRIES, STATUS_PACKED_BYTES
from protocol.statuslist import list_id
from protocol.vectors.raw import (
    Vector,
    accepted,
    head,
    header,
    pairs,
    refused,
    sign1,
    signer,
    steps,
    to_be_signed,
    with_pairs,
)

URI = "https://status.example/cn-11/7"
AT_S = 1_795_334_400
_STORED_BYTES = 65_535
_PACKED = bytes([0b11_00_10_01, 0b00_00_00_00, 0b01_00_00_00])
_STATUSES = [[0, 1], [1, 2], [3, 3], [11, 1]]


def _zlib(packed: bytes) -> bytes:
    """A zlib stream of stored blocks (RFC 1951 §3.2.4), in one form on every machine."""
    blocks = [packed[at : at + _STORED_BYTES] for at in range(0, len(packed), _STORED_BYTES)] or [b""]
    made = b"\x78\x01"
    for at, block in enumerate(blocks):
        size = len(block)
        made += bytes([at == len(blocks) - 1]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little")
        made += block
    return made + zlib.adler32(packed).to_bytes(4, "big")


def _claims(packed: bytes = _PACKED, **changes: Any) -> bytes:
    made = {2: URI, 4: AT_S + 3600, 6: AT_S - 60, 65533: {"bits": 2, "lst": _zlib(packed)}, -70010: 41}
    made |= {{"uri": 2, "expires": 4, "issued": 6, "list": 65533, "version": -70010}[k]: v for k, v in changes.items()}
    return cbor.encode({key: value for key, value in made.items() if value is not None})


def _list(payload: bytes, *, by: str = "issuer", typ: Any = TYP_STATUS_LIST, **more: Any) -> bytes:
    protected = header(signer(by), more={} if typ is None else {16: typ})
    return sign1(payload, key=signer(by), protected=protected, **({"aad": AAD_STATUS_LIST} | more))


def _read(statuses: list[list[int]], size: int, **changes: Any) -> dict[str, Any]:
    return {
        "uri": URI,
        "version": 41,
        "issued_s": AT_S - 60,
        "expires_s": AT_S + 3600,
        "issuer_kid": signer("issuer").public.kid.hex(),
        "list_id": list_id(URI),
        "size": size,
        "statuses_not_0": statuses,
    } | changes


def make_status_lists() -> list[Vector]:
    """Signed lists: at most 12 entries in most, as many as fit in some."""
    return [*_good_lists(), *_bad_lists()]


def _good_lists() -> list[Vector]:
    p256 = signer("issuer-p256").public.kid.hex()
    made: list[tuple[str, str, bytes, int, dict[str, Any]]] = [
        ("twelve", "twelve entries of all four statuses", _list(_claims()), AT_S, _read(_STATUSES, 12)),
        ("at-its-end", "the last second in which its issuer stands by it",
         _list(_claims()), AT_S + 3600, _read(_STATUSES, 12)),
        ("for-ever", "a list that does not expire",
         _list(_claims(expires=None)), AT_S + 10**8, _read(_STATUSES, 12, expires_s=None)),
        ("es256", "by a P-256 key", _list(_claims(), by="issuer-p256"), AT_S, _read(_STATUSES, 12, issuer_kid=p256)),
        ("es256-high-s", "the high-s form, as around codes",
         _list(_claims(), by="issuer-p256", high_s=True), AT_S, _read(_STATUSES, 12, issuer_kid=p256)),
        ("ttl", "claim 65534 (ttl) of the standard: ignored",
         _list(with_pairs(_claims(), {65534: 43200})), AT_S, _read(_STATUSES, 12)),
        ("one-byte", "four entries, the fewest", _list(_claims(b"\x02")), AT_S, _read([[0, 2]], 4)),
    ]  # fmt: skip
    return [
        *(
            accepted(name, shows, given(data, at_s), decoded, steps=steps(data, aad=AAD_STATUS_LIST))
            for name, shows, data, at_s, decoded in made
        ),
        _long("longest", "2^20 entries, all 0, the most", STATUS_PACKED_BYTES, None),
    ]


def _bad_lists() -> list[Vector]:
    deflated = _zlib(_PACKED)
    lists: list[tuple[str, str, Any]] = [
        ("bits-1", "another width", {"bits": 1, "lst": deflated}),
        ("bits-4", "another width", {"bits": 4, "lst": deflated}),
        ("bits-text", "a width as a text", {"bits": "2", "lst": deflated}),
        ("bits-missing", "no width", {"lst": deflated}),
        ("lst-missing", "no list", {"bits": 2}),
        ("lst-text", "a list in Base64, as in JSON", {"bits": 2, "lst": "eNrbuRgAAhcBXQ"}),
        ("lst-empty", "no zlib stream", {"bits": 2, "lst": b""}),
        ("lst-no-entries", "a zlib stream of nothing", {"bits": 2, "lst": _zlib(b"")}),
        ("lst-cut", "a zlib stream without its last byte", {"bits": 2, "lst": deflated[:-1]}),
        ("lst-longer", "a byte after the zlib stream", {"bits": 2, "lst": deflated + b"\x00"}),
        ("lst-checksum", "a wrong checksum", {"bits": 2, "lst": deflated[:-1] + bytes([deflated[-1] ^ 1])}),
        ("lst-raw", "deflate without zlib's header", {"bits": 2, "lst": deflated[2:-4]}),
        ("lst-plain", "not compressed at all", {"bits": 2, "lst": _PACKED}),
        ("list-more", "a member more", {"bits": 2, "lst": deflated, "aggregation_uri": "https://status.example"}),
        ("list-missing", "no claim 65533", None),
    ]
    claims: list[tuple[str, str, dict[str, Any]]] = [
        ("version-missing", "no version", {"version": None}),
        ("version-zero", "versions count from 1", {"version": 0}),
        ("uri-missing", "a list without an address", {"uri": None}),
        ("uri-long", "an address of 257 characters", {"uri": "u" * 257}),
        ("issued-missing", "no time of issue", {"issued": None}),
        ("expires-early", "expires when it is issued", {"expires": AT_S - 60}),
        *((name, shows, {"list": value}) for name, shows, value in lists),
    ]
    good = _claims()
    not_first = pairs((2, URI), (6, 1), (65533, {"bits": 2, "lst": deflated}), (-70010, 41))
    bad: list[tuple[str, str, bytes, str]] = [
        *((name, shows, _list(_claims(**change)), "malformed") for name, shows, change in claims),
        ("order-of-the-draft", "bits before lst, as in the standard's examples: not deterministic",
         _list(not_first), "malformed"),
        ("unknown-low-key", "claim 1 (issuer): the key says who signed",
         _list(with_pairs(good, {1: "x"})), "malformed"),
        ("typ-missing", "no typ: it could pass for a code", _list(good, typ=None), "malformed"),
        ("typ-other", "another typ", _list(good, typ="application/cwt"), "malformed"),
        ("typ-number", "a typ as a number", _list(good, typ=61), "malformed"),
        ("trailing-byte", "a byte after the end", _list(good) + b"\x00", "malformed"),
        ("expired", "a second after its end", _list(_claims(expires=AT_S - 1)), "expired"),
        ("other-signer", "by a key that is not trusted", _list(good, by="stranger"), "unknown_key"),
        ("aad-delta", "signed as if it were a delta", _list(good, aad=AAD_STATUS_DELTA), "bad_signature"),
        ("signature-flipped", "one bit of the signature",
         _list(good)[:-1] + bytes([_list(good)[-1] ^ 1]), "bad_signature"),
    ]  # fmt: skip
    return [
        *(refused(name, shows, given(data, AT_S), reason) for name, shows, data, reason in bad),
        _long("too-many", "four entries more than 2^20", STATUS_PACKED_BYTES + 1, "limit"),
        refused("too-long", "more than 524,288 bytes",
                {"hex_repeated": [["d2", 1], ["00", 524_288]], "trusted_keys": ["issuer"], "at_s": AT_S}, "limit"),
    ]  # fmt: skip


def _long(name: str, shows: str, packed_bytes: int, reason: str | None) -> Vector:
    """A list of zeros, written with counts so that the file stays small."""
    payload = _claims(bytes(packed_bytes))
    protected = header(signer("issuer"), more={16: TYP_STATUS_LIST})
    before = b"\xd2\x84" + cbor.encode(protected) + b"\xa0" + head(2, len(payload), 4)
    signature = b"\x58\x40" + signer("issuer").sign(to_be_signed(protected, AAD_STATUS_LIST, payload))
    given = {"hex_repeated": _counted(before + payload + signature), "trusted_keys": ["issuer"], "at_s": AT_S}
    if reason is not None:
        return refused(name, shows, given, reason)
    return accepted(name, shows, given, _read([], STATUS_ENTRIES))


def _counted(data: bytes) -> list[list[Any]]:
    """Bytes as `hex_repeated`: each long run of zeros becomes one part."""
    run = bytes(1024)
    parts: list[list[Any]] = []
    at = 0
    while at < len(data):
        start = data.find(run, at)
        start = len(data) if start < 0 else start
        if start > at:
            parts.append([data[at:start].hex(), 1])
        at = start
        while at < len(data) and data[at] == 0:
            at += 1
        if at > start:
            parts.append(["00", at - start])
    return parts


def given(data: bytes, at_s: int) -> dict[str, Any]:
    """The input of a vector that two issuers may have signed."""
    return {"hex": data.hex(), "trusted_keys": ["issuer", "issuer-p256"], "at_s": at_s}
