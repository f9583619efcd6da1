import cbor2
import pytest

from protocol import cbor, envelope
from protocol.errors import LimitError, MalformedError, SignatureError, UnsupportedError
from protocol.vectors.raw import AADS, flip_s, header, sign1


def parse(data, limit=1024):
    return envelope.parse(data, what="thing", limit=limit)


@pytest.mark.parametrize("name", ["device", "device_p256"])
def test_what_is_sealed_is_parsed_and_verified(keys, name):
    key = getattr(keys, name)
    data = envelope.seal(b"payload", key=key, aad=b"aad")
    sealed = parse(data)
    envelope.verify(sealed, key=key.public, aad=b"aad")
    assert (sealed.payload, sealed.kid, sealed.alg) == (b"payload", key.public.kid, key.public.alg)
    assert sealed.protected == cbor.encode({1: key.public.alg, 4: key.public.kid})
    assert envelope.canonical(sealed) == data


@pytest.mark.parametrize("typ", [None, "application/x"])
def test_an_object_has_the_type_that_is_asked_for(keys, typ):
    data = envelope.seal(b"payload", key=keys.device, aad=b"", typ=typ)
    assert envelope.parse(data, what="thing", limit=1024, typ=typ).payload == b"payload"
    for other in {None, "application/x", "application/y"} - {typ}:
        with pytest.raises(MalformedError, match=f"thing: of type {typ!r} instead of {other!r}"):
            envelope.parse(data, what="thing", limit=1024, typ=other)


@pytest.mark.parametrize("typ", [0, 61, b"application/x", True, ["application/x"]])
def test_a_type_of_another_kind_is_refused(keys, typ):
    data = sign1(b"payload", key=keys.device, aad=b"", protected=header(keys.device, more={16: typ}))
    for wanted in (None, "application/x"):
        with pytest.raises(MalformedError, match="thing: of type"):
            envelope.parse(data, what="thing", limit=1024, typ=wanted)


def test_another_implementation_reads_it(keys):
    data = envelope.seal(b"payload", key=keys.device, aad=b"aad")
    tagged = cbor2.loads(data)
    assert tagged.tag == 18
    protected, unprotected, payload, signature = tagged.value
    assert (unprotected, payload) == ({}, b"payload")
    keys.device.public.verify(cbor2.dumps(["Signature1", protected, b"aad", payload]), signature)


@pytest.mark.parametrize("signed", list(AADS))
@pytest.mark.parametrize("read", list(AADS))
def test_no_object_passes_for_another(keys, signed, read):
    sealed = parse(envelope.seal(b"payload", key=keys.hub, aad=AADS[signed]))
    if signed == read:
        envelope.verify(sealed, key=keys.hub.public, aad=AADS[read])
    else:
        with pytest.raises(SignatureError):
            envelope.verify(sealed, key=keys.hub.public, aad=AADS[read])


def test_the_key_decides_the_algorithm_and_the_kid(keys):
    sealed = parse(envelope.seal(b"payload", key=keys.device, aad=b""))
    for key in (keys.hub, keys.device_p256):
        with pytest.raises(SignatureError, match="made for another key or algorithm"):
            envelope.verify(sealed, key=key.public, aad=b"")
    forged = sign1(b"payload", key=keys.device, aad=b"", protected=header(keys.device, alg=-7))
    with pytest.raises(SignatureError, match="made for another key or algorithm"):
        envelope.verify(parse(forged), key=keys.device.public, aad=b"")


def test_the_high_s_form_passes_only_where_it_is_asked_for(keys):
    sealed = parse(sign1(b"payload", key=keys.hub_p256, aad=b"", high_s=True))
    with pytest.raises(SignatureError, match="high-s"):
        envelope.verify(sealed, key=keys.hub_p256.public, aad=b"")
    envelope.verify(sealed, key=keys.hub_p256.public, aad=b"", any_s=True)
    assert envelope.canonical(sealed) == sign1(b"payload", key=keys.hub_p256, aad=b"")


def test_an_ed25519_signature_has_no_other_form(keys):
    data = sign1(b"payload", key=keys.hub, aad=b"")
    flipped = data[:-64] + flip_s(data[-64:])
    for any_s in (False, True):
        with pytest.raises(SignatureError):
            envelope.verify(parse(flipped), key=keys.hub.public, aad=b"", any_s=any_s)
    assert envelope.canonical(parse(flipped)) == flipped


def test_length_at_the_limit_and_one_above(keys):
    data = envelope.seal(b"payload", key=keys.device, aad=b"")
    assert parse(data, limit=len(data)).payload == b"payload"
    with pytest.raises(LimitError, match=f"thing: {len(data)} bytes, at most {len(data) - 1} are allowed"):
        parse(data, limit=len(data) - 1)


def test_a_long_header_is_refused_before_it_is_read(keys):
    long = header(keys.device, more={65: bytes(240)})
    with pytest.raises(LimitError, match="protected header"):
        parse(sign1(b"payload", key=keys.device, aad=b"", protected=long))


def test_a_critical_header_is_unsupported(keys):
    protected = header(keys.device, more={2: [65], 65: 1})
    with pytest.raises(UnsupportedError, match="protected header: a critical header"):
        parse(sign1(b"payload", key=keys.device, aad=b"", protected=protected))


def foreign(data):
    return envelope.parse_foreign(data, limit=1024)


@pytest.mark.parametrize("tag", [b"\xd2", b"\xd8\x3d\xd2", b""])
def test_foreign_objects_may_have_any_tag(keys, tag):
    sealed = foreign(sign1(b"payload", key=keys.device, aad=b"", tag=tag))
    envelope.verify_foreign(sealed, key=keys.device.public)
    assert sealed.kid == keys.device.public.kid


def test_foreign_objects_may_name_alg_and_kid_anywhere_and_the_protected_header_goes_before(keys):
    unprotected = cbor.encode({1: -8, 4: b"elsewhere"})
    sealed = foreign(sign1(b"payload", key=keys.device, aad=b"", protected=b"", unprotected=unprotected))
    assert (sealed.alg, sealed.kid) == (-8, b"elsewhere")
    envelope.verify_foreign(sealed, key=keys.device.public)
    assert foreign(sign1(b"payload", key=keys.device, aad=b"", unprotected=unprotected)).kid == keys.device.public.kid


def test_a_foreign_empty_map_is_signed_as_an_empty_string(keys):
    unprotected = cbor.encode({1: -8})
    signed_as_empty = sign1(b"payload", key=keys.device, aad=b"", protected=b"", unprotected=unprotected)
    written_as_map = signed_as_empty.replace(b"\x84\x40", b"\x84\x41\xa0", 1)
    envelope.verify_foreign(foreign(written_as_map), key=keys.device.public)


def test_a_refusal_of_a_foreign_object_does_not_repeat_it():
    twice = b"\x59\x01\x00" + b"\xff" * 256 + b"\x00"
    with pytest.raises(MalformedError) as caught:
        envelope.parse_foreign(b"\x84\x40\xa2" + twice * 2 + b"\x40\x40", limit=1024)
    assert len(str(caught.value)) < 300


def test_a_foreign_signature_of_another_algorithm_is_refused(keys):
    sealed = foreign(sign1(b"payload", key=keys.device, aad=b""))
    with pytest.raises(SignatureError, match="another algorithm"):
        envelope.verify_foreign(sealed, key=keys.device_p256.public)


@pytest.mark.parametrize(
    ("data", "error", "what"),
    [
        (b"", MalformedError, "not CBOR"),
        (b"\xd2", MalformedError, "not CBOR"),
        (b"\xd2\x83\x40\xa0\x40", MalformedError, "not the four parts"),
        (b"\xd2\x84\x40\xa0\xf6\x40", UnsupportedError, "the payload is detached"),
        (b"\xd2\x84\x40\xa0\x40\x40", MalformedError, "algorithm or kid is missing"),
        (b"\xd2\x84\x43\xa1\x01\x27\xa0\x40\x40\x00", MalformedError, "bytes after the end"),
        (b"\xd2\x84\x44\xa1\x01\x27\x00\xa0\x40\x40", MalformedError, "bytes after the end"),
        (b"\xd2\x84\x41\x80\xa0\x40\x40", MalformedError, "the protected header is not a map"),
        (b"\xd2\x84\x46\xa2\x01\x27\x02\x81\x01\xa0\x40\x40", UnsupportedError, "a critical header"),
        (b"\xd2\x84\x43\xa1\x01\x27\xa1\x02\x81\x01\x40\x40", UnsupportedError, "a critical header"),
        (b"\xd2\x84\x43\xa1\x01\x27\xa1\x04\x01\x40\x40", MalformedError, "algorithm or kid"),
        (b"\xd2\x84\x46\xa1\x01\x63\x61\x62\x63\xa0\x40\x40", MalformedError, "algorithm or kid"),
        (b"\xd2\xd2\x84\x40\xa0\x40\x40", MalformedError, "not the four parts"),
        (b"\x84\x40\xa0\x5b\x7f" + b"\xff" * 7, MalformedError, "not CBOR"),
        (b"\x9b" + b"\xff" * 8, MalformedError, "not CBOR"),
        (b"\x81" * 900, MalformedError, "not CBOR"),
        (bytes(1025), LimitError, "1025 bytes, at most 1024 are allowed"),
    ],
)
def test_refusals_of_foreign_objects(data, error, what):
    with pytest.raises(error, match=what) as caught:
        foreign(data)
    assert caught.value.where == "COSE_Sign1"
