import random
from dataclasses import replace

import pytest

from protocol import cbor, codes, envelope
from protocol.codes import to_text
from protocol.envelope import AAD_STATUS_DELTA, AAD_STATUS_LIST, TYP_STATUS_LIST
from protocol.errors import (
    ExpiredError,
    KeyUseError,
    LimitError,
    MalformedError,
    ProtocolError,
    SignatureError,
    UnknownKeyError,
)
from protocol.limits import (
    INT64_MAX,
    STATUS_DELTA_BYTES,
    STATUS_ENTRIES,
    STATUS_LIST_BYTES,
    STATUS_PACKED_BYTES,
    URI_CHARS,
)
from protocol.statuslist import (
    ListToken,
    StatusDelta,
    StatusList,
    apply_delta,
    deflate,
    list_id,
    open_delta,
    open_list,
    seal_delta,
    seal_list,
)
from protocol.vectors.raw import header, sign1, with_pairs

NOW_S = 1_795_334_400
URI = "https://status.example/7"
TOKEN = ListToken(uri=URI, version=3, issued_s=NOW_S - 5, expires_s=NOW_S + 60, packed=b"\x1b\x00\xe4")
DELTA = StatusDelta(uri=URI, from_version=3, to_version=4, issued_s=NOW_S, changes=((1, 3), (11, 0)))
HEARTBEAT = StatusDelta(uri=URI, from_version=3, to_version=3, issued_s=NOW_S)


@pytest.mark.parametrize(
    "token",
    [
        TOKEN,
        replace(TOKEN, expires_s=None),
        replace(TOKEN, version=INT64_MAX, uri="状" * URI_CHARS),
        replace(TOKEN, packed=bytes(STATUS_PACKED_BYTES)),
        replace(TOKEN, packed=bytes(range(256)) * (STATUS_PACKED_BYTES // 256)),
    ],
    ids=["short", "for ever", "longest address", "longest", "longest and hardly compressed"],
)
def test_a_list_comes_back_as_it_was_sealed(keys, bundle, token):
    opened = open_list(seal_list(token, key=keys.issuer), trust=bundle, at_s=NOW_S)
    assert opened == replace(token, issuer_kid=keys.issuer.public.kid)


@pytest.mark.parametrize("delta", [DELTA, HEARTBEAT, replace(DELTA, changes=()), replace(DELTA, to_version=INT64_MAX)])
def test_a_delta_comes_back_as_it_was_sealed(keys, bundle, delta):
    opened = open_delta(seal_delta(delta, key=keys.issuer), trust=bundle, at_s=NOW_S)
    assert opened == replace(delta, issuer_kid=keys.issuer.public.kid)
    assert opened.is_heartbeat == (delta is HEARTBEAT)


def test_a_delta_takes_a_list_to_its_next_version():
    packed = bytearray(TOKEN.packed)
    apply_delta(packed, DELTA)
    statuses = StatusList(packed)
    assert [statuses.get(index) for index in range(12)] == [3, 3, 1, 0, 0, 0, 0, 0, 0, 1, 2, 0]
    apply_delta(packed, HEARTBEAT)
    assert packed == statuses.packed


def test_a_delta_beyond_the_list_changes_nothing():
    packed = bytearray(TOKEN.packed)
    with pytest.raises(MalformedError, match="index 12 is beyond the list"):
        apply_delta(packed, replace(DELTA, changes=((0, 1), (12, 1))))
    assert packed == TOKEN.packed


def test_the_name_of_a_list_is_the_start_of_a_hash():
    assert list_id("https://status.example/1") == "a69ecfea04f29502"
    assert list_id("状") != list_id("态")


def test_the_typ_of_a_list_is_that_of_the_standard(keys):
    sealed = envelope.parse_foreign(seal_list(TOKEN, key=keys.issuer), limit=4096)
    protected = cbor.decode(sealed.protected, what="header", limit=100)
    assert protected == {1: -8, 4: keys.issuer.public.kid, 16: "application/statuslist+cwt"}
    assert cbor.decode(sealed.payload, what="claims", limit=4096) == {
        2: URI,
        4: NOW_S + 60,
        6: NOW_S - 5,
        65533: {"bits": 2, "lst": deflate(TOKEN.packed)},
        -70010: 3,
    }


def test_a_list_does_not_pass_for_a_code_nor_a_code_for_a_list(keys, bundle, live):
    """Neither has an external_aad: the typ is all that keeps them apart, even where the claims would do for both."""
    claims = {
        2: bytes(16),
        4: NOW_S + 60,
        6: NOW_S,
        65533: {"bits": 2, "lst": deflate(b"\x00")},
        -70001: 0,
    }
    payload = cbor.encode(claims)
    as_list = header(keys.issuer, more={16: TYP_STATUS_LIST})
    codes.parse_text(to_text(sign1(payload, key=keys.issuer, aad=b"")))
    with pytest.raises(MalformedError, match="code: of type 'application/statuslist"):
        codes.parse_text(to_text(sign1(payload, key=keys.issuer, aad=b"", protected=as_list)))

    payload = cbor.encode(claims | {2: URI, -70010: 1})
    open_list(sign1(payload, key=keys.issuer, aad=b"", protected=as_list), trust=bundle, at_s=NOW_S)
    with pytest.raises(MalformedError, match="status list: of type None"):
        open_list(sign1(payload, key=keys.issuer, aad=b""), trust=bundle, at_s=NOW_S)
    with pytest.raises(MalformedError, match="status list: of type None"):
        open_list(codes.seal_code(live, key=keys.issuer), trust=bundle, at_s=NOW_S)


def test_a_typ_is_refused_around_objects_that_have_none(keys, bundle):
    payload = envelope.parse(seal_delta(DELTA, key=keys.issuer), what="delta", limit=4096).payload
    protected = header(keys.issuer, more={16: TYP_STATUS_LIST})
    data = sign1(payload, key=keys.issuer, aad=AAD_STATUS_DELTA, protected=protected)
    with pytest.raises(MalformedError, match="status delta: of type"):
        open_delta(data, trust=bundle, at_s=NOW_S)


def test_a_list_is_no_delta_and_a_delta_no_list(keys, bundle):
    with pytest.raises(MalformedError):
        open_delta(seal_list(TOKEN, key=keys.issuer), trust=bundle, at_s=NOW_S)
    with pytest.raises(MalformedError):
        open_list(seal_delta(DELTA, key=keys.issuer), trust=bundle, at_s=NOW_S)


SEALED = [(seal_list, open_list, TOKEN), (seal_delta, open_delta, DELTA)]


@pytest.mark.parametrize(("seal", "opened", "value"), SEALED, ids=["list", "delta"])
def test_only_a_key_for_status_opens_it_and_only_in_its_window(keys, bundle, seal, opened, value):
    data = seal(value, key=keys.issuer)
    with pytest.raises(UnknownKeyError):
        opened(seal(value, key=keys.stranger), trust=bundle, at_s=NOW_S)
    with pytest.raises(KeyUseError, match="is not for status"):
        opened(seal(value, key=keys.platform), trust=bundle, at_s=NOW_S)
    with pytest.raises(KeyUseError, match="outside its window"):
        opened(data, trust=bundle, at_s=NOW_S - 1)
    with pytest.raises(KeyUseError, match="bundle 7 has ended"):
        opened(data, trust=bundle, at_s=NOW_S + 51)
    with pytest.raises(SignatureError):
        opened(data[:-1] + bytes([data[-1] ^ 1]), trust=bundle, at_s=NOW_S)


def test_a_list_ends_when_its_issuer_says_so(keys, bundle):
    data = seal_list(replace(TOKEN, expires_s=NOW_S), key=keys.issuer)
    assert open_list(data, trust=bundle, at_s=NOW_S).version == 3
    with pytest.raises(ExpiredError, match="version 3 has expired"):
        open_list(data, trust=bundle, at_s=NOW_S + 1)


LISTS = [
    ({-70010: 0}, "status list.version"),
    ({-70010: INT64_MAX + 1}, "status list.version"),
    ({-70010: None}, "status list.version"),
    ({2: ""}, "status list.uri"),
    ({2: "u" * (URI_CHARS + 1)}, "status list.uri"),
    ({2: b"u"}, "status list.uri"),
    ({6: -1}, "status list.issued"),
    ({4: NOW_S - 5}, "status list.expires"),
    ({4: "never"}, "status list.expires"),
    ({65533: None}, "status list"),
    ({65533: {"bits": 1, "lst": deflate(b"\x00")}}, "status list"),
    ({65533: {"bits": True, "lst": deflate(b"\x00")}}, "status list"),
    ({65533: {"bits": 8, "lst": deflate(b"\x00")}}, "status list"),
    ({65533: {"bits": 2, "lst": "eNrbuRgAAhcBXQ"}}, "status list"),
    ({65533: {"bits": 2, "lst": deflate(b"\x00"), "more": 1}}, "status list"),
    ({65533: {"bits": 2}}, "status list"),
    ({65533: {"bits": 2, "lst": deflate(b"\x00") + b"\x00"}}, "status list.lst"),
    ({65533: {"bits": 2, "lst": deflate(b"\x00")[:-1]}}, "status list.lst"),
    ({65533: {"bits": 2, "lst": deflate(b"")}}, "status list.lst"),
    ({65533: {"bits": 2, "lst": deflate(bytes(STATUS_PACKED_BYTES + 1))}}, "status list.lst"),
    ({65533: {"bits": 2, "lst": deflate(bytes(100 << 20))}}, "status list.lst"),
    ({1: "issuer"}, "status list"),
]


@pytest.mark.parametrize(("changes", "where"), LISTS, ids=[f"{n} {where}" for n, (_, where) in enumerate(LISTS)])
def test_refusals_of_lists_name_the_claim(keys, bundle, changes, where):
    payload = envelope.parse(seal_list(TOKEN, key=keys.issuer), what="list", limit=4096, typ=TYP_STATUS_LIST).payload
    protected = header(keys.issuer, more={16: TYP_STATUS_LIST})
    data = sign1(with_pairs(payload, changes), key=keys.issuer, aad=AAD_STATUS_LIST, protected=protected)
    with pytest.raises(MalformedError) as caught:
        open_list(data, trust=bundle, at_s=NOW_S)
    assert caught.value.where == where


DELTAS = [
    ({1: None}, "status delta.uri"),
    ({1: "u" * (URI_CHARS + 1)}, "status delta.uri"),
    ({2: 0}, "status delta.from"),
    ({2: 5}, "status delta.to"),
    ({3: INT64_MAX + 1}, "status delta.to"),
    ({3: 3}, "status delta.changes"),
    ({4: None}, "status delta.issued"),
    ({5: None}, "status delta.changes"),
    ({5: []}, "status delta.changes"),
    ({5: b"\x80"}, "status delta.changes"),
    ({6: 0}, "status delta"),
]


@pytest.mark.parametrize(("changes", "where"), DELTAS, ids=[f"{n} {where}" for n, (_, where) in enumerate(DELTAS)])
def test_refusals_of_deltas_name_the_field(keys, bundle, changes, where):
    payload = envelope.parse(seal_delta(DELTA, key=keys.issuer), what="delta", limit=4096).payload
    data = sign1(with_pairs(payload, changes), key=keys.issuer, aad=AAD_STATUS_DELTA)
    with pytest.raises(MalformedError) as caught:
        open_delta(data, trust=bundle, at_s=NOW_S)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("seal", "value"),
    [
        (seal_list, replace(TOKEN, version=0)),
        (seal_list, replace(TOKEN, packed=b"")),
        (seal_list, replace(TOKEN, packed=bytes(STATUS_PACKED_BYTES + 1))),
        (seal_list, replace(TOKEN, expires_s=TOKEN.issued_s)),
        (seal_list, replace(TOKEN, uri="")),
        (seal_delta, replace(DELTA, from_version=0)),
        (seal_delta, replace(DELTA, to_version=2)),
        (seal_delta, replace(HEARTBEAT, changes=((0, 1),))),
        (seal_delta, replace(DELTA, changes=((2, 1), (1, 1)))),
        (seal_delta, replace(DELTA, changes=((STATUS_ENTRIES, 1),))),
    ],
)
def test_what_a_gate_would_refuse_cannot_be_sealed(keys, seal, value):
    with pytest.raises(MalformedError):
        seal(value, key=keys.issuer)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["list", "delta"])
def test_well_signed_mutants_are_refused_or_read_as_what_they_are(keys, bundle, name):
    """An issuer's software may be wrong too: nothing but a ProtocolError comes out, and no list grows too long."""
    rng, read = random.Random(name), 0
    as_list = header(keys.issuer, more={16: TYP_STATUS_LIST})
    stream = deflate(rng.randbytes(40) + bytes(60_000))
    packed = cbor.decode(
        envelope.parse(
            seal_delta(replace(DELTA, changes=tuple((n * n, n & 3) for n in range(100))), key=keys.issuer),
            what="delta",
            limit=4096,
        ).payload,
        what="delta",
        limit=4096,
    )[5]
    for _ in range(4_000):
        part = bytearray(stream if name == "list" else packed)
        for _ in range(rng.choice((1, 1, 2, 5))):
            part[rng.randrange(len(part))] = rng.randrange(256)
        del part[rng.choice((len(part), len(part), rng.randrange(1, len(part)))) :]
        try:
            if name == "list":
                claims = {2: URI, 6: NOW_S, 65533: {"bits": 2, "lst": bytes(part)}, -70010: 1}
                data = sign1(cbor.encode(claims), key=keys.issuer, aad=AAD_STATUS_LIST, protected=as_list)
                assert len(open_list(data, trust=bundle, at_s=NOW_S).packed) <= STATUS_PACKED_BYTES
            else:
                fields = cbor.encode({1: URI, 2: 1, 3: 2, 4: NOW_S, 5: bytes(part)})
                data = sign1(fields, key=keys.issuer, aad=AAD_STATUS_DELTA)
                opened = open_delta(data, trust=bundle, at_s=NOW_S)
                assert seal_delta(opened, key=keys.issuer) == data
        except ProtocolError:
            continue
        read += 1
    assert 10 < read < 3_600


def test_a_delta_at_the_limit_and_one_above(keys, bundle):
    """Consecutive changes take a byte each; the rest of the limit is for what is around them."""
    least = len(seal_delta(replace(DELTA, changes=tuple((index, 1) for index in range(1000))), key=keys.issuer))
    # A length of more than 65,535 would take two bytes more in each of its two heads, but stays below here.
    most = STATUS_DELTA_BYTES - least + 1000
    data = seal_delta(replace(DELTA, changes=tuple((index, 1) for index in range(most))), key=keys.issuer)
    assert len(data) == STATUS_DELTA_BYTES
    assert len(open_delta(data, trust=bundle, at_s=NOW_S).changes) == most
    with pytest.raises(LimitError, match=f"{STATUS_DELTA_BYTES + 1} bytes, at most"):
        seal_delta(replace(DELTA, changes=tuple((index, 1) for index in range(most + 1))), key=keys.issuer)


@pytest.mark.parametrize(("opened", "limit"), [(open_list, STATUS_LIST_BYTES), (open_delta, STATUS_DELTA_BYTES)])
def test_what_is_too_long_is_not_read(bundle, opened, limit):
    with pytest.raises(LimitError, match=f"{limit + 1} bytes, at most {limit} are allowed"):
        opened(bytes(limit + 1), trust=bundle, at_s=NOW_S)


def test_the_high_s_form_passes_around_a_list_only(keys, bundle):
    p256 = replace(bundle.issuers[0].keys[0], key=keys.issuer_p256.public)
    trust = replace(bundle, issuers=(replace(bundle.issuers[0], keys=(p256,)),))
    payload = envelope.parse(
        seal_list(TOKEN, key=keys.issuer_p256), what="list", limit=4096, typ=TYP_STATUS_LIST
    ).payload
    protected = header(keys.issuer_p256, more={16: TYP_STATUS_LIST})
    high = sign1(payload, key=keys.issuer_p256, aad=AAD_STATUS_LIST, protected=protected, high_s=True)
    assert open_list(high, trust=trust, at_s=NOW_S).version == 3
    payload = envelope.parse(seal_delta(DELTA, key=keys.issuer_p256), what="delta", limit=4096).payload
    high = sign1(payload, key=keys.issuer_p256, aad=AAD_STATUS_DELTA, high_s=True)
    with pytest.raises(SignatureError, match="high-s"):
        open_delta(high, trust=trust, at_s=NOW_S)
