"""Mutated bytes: nothing but a ProtocolError comes out, nothing altered is accepted, and memory stays small.

The mutations begin with the golden vectors and are seeded, so that a failure can be repeated by its number.
"""

import json
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import (
    base45,
    batch,
    cbor,
    checkin,
    codes,
    command,
    desk,
    desk_answer,
    devicekey,
    enrolment,
    envelope,
    health,
    placerequest,
    policy,
    presence,
    provisioning,
    receipt,
    renewal,
    resolve,
    statuslist,
    timehint,
    trust,
    used,
)
from protocol.errors import ProtocolError
from protocol.keys import decode_key, encode_key
from protocol.vectors import make
from protocol.vectors.make_desk import FAMILY_ID
from protocol.vectors.make_gate import DEVICE, GATE, PLACE, SESSION
from protocol.vectors.make_resolve import QUERY, RESOLVER
from protocol.vectors.raw import KEYS, P256_ORDER, flip_s

FOLDER = Path(make.__file__).parent
PUBLIC = {named.key.public.kid: named.key.public for named in KEYS.values()}
MUTANTS = 10_000
TYPES = {"status-lists": envelope.TYP_STATUS_LIST}


def key_of(kid):
    """The key that an object names, or any other: an unknown kid is no reason to stop looking for a crash."""
    return PUBLIC.get(kid, KEYS["hub"].key.public)


def open_code(data):
    code = codes.parse_text(codes.to_text(data))
    return codes.verify(code, key=key_of(code.kid))


def open_checkin(data):
    sealed = checkin.parse_checkin(data)
    checkin.verify_checkin(sealed, key=key_of(sealed.kid))
    return sealed


def by_named_key(opened, limit):
    def read(data):
        return opened(data, key=key_of(envelope.parse(data, what="thing", limit=limit).kid))

    return read


LISTING = trust.TrustBundle(
    version=1,
    issued_s=0,
    expires_s=1 << 40,
    issuers=(
        trust.Issuer(
            name="issuer",
            region="CN",
            keys=tuple(
                trust.TrustedKey(
                    key=key,
                    uses=frozenset({trust.KeyUse.STATUS, trust.KeyUse.RESOLVED, trust.KeyUse.PLACE}),
                    not_before_s=0,
                    not_after_s=1 << 40,
                )
                for key in PUBLIC.values()
            ),
        ),
    ),
)


OPEN = {
    "codes": open_code,
    "checkins": open_checkin,
    "receipts": by_named_key(receipt.open_receipt, 256),
    "batches": by_named_key(batch.open_batch, 1 << 20),
    "batch-receipts": by_named_key(batch.open_batch_receipt, 1 << 16),
    "trust": lambda data: trust.open_trust(data, root=KEYS["root"].key.public),
    "status-lists": lambda data: statuslist.open_list(data, trust=LISTING, at_s=0),
    "status-deltas": lambda data: statuslist.open_delta(data, trust=LISTING, at_s=0),
    "policies": lambda data: policy.open_policy(data, hub_keys=PUBLIC, device=DEVICE, place=PLACE, gate=GATE),
    "commands": lambda data: command.open_command(data, hub_keys=PUBLIC, device=DEVICE),
    "wipe-proofs": by_named_key(command.open_wipe_proof, 1 << 12),
    "enrolments": enrolment.open_request,
    "renewals": lambda data: renewal.open_renewal(data, key_of=key_of),
    "device-keys": by_named_key(devicekey.open_device_key, 1 << 12),
    "place-requests": by_named_key(placerequest.open_place_request, 1 << 13),
    "queries": lambda data: resolve.open_query(data, private=RESOLVER),
    "resolved": lambda data: resolve.open_resolved(data, trust=LISTING, at_s=0, device=DEVICE, id=QUERY.id),
    "desk-questions": lambda data: desk.open_question(data, private=RESOLVER),
    "desk-answers": lambda data: desk_answer.open_receipt(
        data, trust=LISTING, at_s=0, id=FAMILY_ID, ask=desk.Ask.REGISTRATION
    ),
    "time-hints": lambda data: timehint.open_time(data, hub_keys=PUBLIC, device=DEVICE, session=SESSION),
}


def corpus(name):
    """The signed bytes of all good vectors of that file."""
    vectors = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["vectors"]
    good = (vector for vector in vectors if vector["expected"].get("result") == "accepted")
    found = [bytes.fromhex(vector.get("cose_hex") or vector["input"].get("hex", "")) for vector in good]
    return [data for data in found if data]


def refusal(read, data):
    """Why a reader refuses; None where it accepts. Any other exception is a crash."""
    try:
        read(data)
    except ProtocolError as error:
        return f"{error.where}: {error.what}"
    return None


def flip(data, rng, _others):
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def replace(data, rng, _others):
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.choice((0, 0x7F, 0xFF, 0x18, 0xF6, 0xD2, rng.randrange(256)))]) + data[at + 1 :]


def insert(data, rng, _others):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 1, 2, 8))) + data[at:]


def delete(data, rng, _others):
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 1, 2, 8)) :]


def truncate(data, rng, _others):
    return data[: rng.randrange(len(data))]


def lie(data, rng, _others):
    """A head somewhere that claims a great length, of any major type."""
    at = rng.randrange(len(data))
    width, first = rng.choice(((1, 24), (2, 25), (4, 26), (8, 27)))
    number = rng.choice((0, 1, 256**width - 1, 256**width // 2, rng.randrange(256**width)))
    return data[:at] + bytes([rng.randrange(8) << 5 | first]) + number.to_bytes(width, "big") + data[at + 1 :]


def splice(data, rng, others):
    other = rng.choice(others)
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def swap_signature(data, rng, others):
    return data[:-64] + rng.choice(others)[-64:]


def other_s(data, _rng, _others):
    return data[:-64] + flip_s(data[-64:]) if 0 < int.from_bytes(data[-32:], "big") < P256_ORDER else data


def double(data, _rng, _others):
    return data + data


MUTATIONS = [flip, flip, replace, insert, delete, truncate, lie, lie, splice, splice, swap_signature, other_s, double]


def mutants(seeds, count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        data = rng.choice(seeds)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            data = rng.choice(MUTATIONS)(data, rng, seeds) or b"\x00" * 65
            if len(data) < 65:
                data += bytes(65 - len(data)) if rng.random() < 0.5 else b""
            data = data or b"\x00"
        yield data


@pytest.mark.slow
@pytest.mark.parametrize("name", list(OPEN))
def test_no_mutant_crashes_a_reader_or_is_accepted(name):
    seeds = corpus(name)
    # In trust a mutant is longer, and batch receipts share their reader with the others.
    count = MUTANTS // 5 if name in {"batch-receipts", "trust"} else MUTANTS
    known, refused = set(seeds), 0
    for data in mutants(seeds, count, seed=name):
        if refusal(OPEN[name], data) is not None:
            refused += 1
        elif name in {"codes", "status-lists"}:
            # Of other standards, and so accepted with either form of a signature.
            sealed = envelope.parse(data, what="thing", limit=1 << 20, typ=TYPES.get(name))
            assert {data, envelope.canonical(sealed)} & known, data.hex()
        else:
            assert data in known, data.hex()
    assert refused > count * 0.9


def mutated_texts(seeds, count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        text = list(rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 3))):
            at = rng.randrange(len(text))
            match rng.randrange(4):
                case 0:
                    text[at] = rng.choice(base45.ALPHABET)
                case 1:
                    text.insert(at, rng.choice(base45.ALPHABET + "a\x00张"))
                case 2 if len(text) > 5:
                    del text[at]
                case _:
                    text[at:] = rng.choice(seeds)[at:]
        yield "".join(text)


@pytest.mark.slow
def test_no_mutated_text_is_accepted_as_another_code():
    seeds = [codes.to_text(data) for data in corpus("codes")]
    known = set(corpus("codes"))
    for text in mutated_texts(seeds, MUTANTS // 2, "texts"):
        try:
            code = codes.parse_text(text)
            codes.verify(code, key=key_of(code.kid))
        except ProtocolError:
            continue
        assert envelope.canonical(code.sealed) in known


@pytest.mark.slow
def test_a_mutated_provisioning_code_is_refused_or_the_text_of_what_was_read():
    vectors = json.loads((FOLDER / "provisioning.json").read_text(encoding="utf-8"))["vectors"]
    seeds = [vector["input"]["text"] for vector in vectors if vector["expected"]["result"] == "accepted"]
    refused = 0
    for text in mutated_texts(seeds, MUTANTS, "provisioning"):
        try:
            code = provisioning.parse_provisioning(text)
        except ProtocolError:
            refused += 1
            continue
        assert provisioning.provisioning_text(code) == text
    assert refused > MUTANTS // 2


UNSIGNED = {
    "messages": lambda data: cbor.encode(checkin.decode_message(data)),
    "keys": lambda data: encode_key(decode_key(data)),
    "hub presence": lambda data: presence.encode_hub_presence(presence.decode_hub_presence(data)),
    "device presence": lambda data: presence.encode_device_presence(presence.decode_device_presence(data)),
    "health": lambda data: health.encode_health(health.decode_health(data)),
    "results": lambda data: command.encode_result(command.decode_result(data)),
    "enrolment-answers": lambda data: enrolment.encode_answer(enrolment.decode_answer(data)),
    "renewal-answers": lambda data: renewal.encode_renewal_answer(renewal.decode_renewal_answer(data)),
    "used": lambda data: used.encode_used(used.decode_used(data)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(UNSIGNED))
def test_unsigned_mutants_are_refused_or_are_the_encoding_of_what_was_read(name):
    seeds = corpus(name.rpartition(" ")[2])
    for data in mutants(seeds, MUTANTS, seed=name):
        try:
            again = UNSIGNED[name](data)
        except ProtocolError:
            continue
        ignored = cbor.decode(data, what="thing", limit=1 << 16)
        if isinstance(ignored, dict):
            again = cbor.encode(
                cbor.decode(again, what="thing", limit=1 << 16) | {k: v for k, v in ignored.items() if k > 64}
            )
        assert again == data


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_by_every_reader(data):
    for read in OPEN.values():
        with pytest.raises(ProtocolError):
            read(b"\xd2" + data)
    refusal(lambda inner: envelope.parse_foreign(inner, limit=200), data)
    refusal(lambda inner: codes.parse_text("GL1:" + base45.encode(inner)), data)


LIES = [
    bytes([major << 5 | first]) + number.to_bytes(width, "big") + tail
    for major in range(8)
    for width, first in ((4, 26), (8, 27))
    for number in (256**width - 1, 256**width // 2, 2**32 - 1)
    for tail in (b"", b"\x00" * 300)
] + [
    b"\x81" * 1000,
    b"\xa1\x00" * 500,
    b"\xd8\x1c" * 400,
    b"\xc2\x5a\xff\xff\xff\xff" + bytes(100),
    b"\x9f" * 900,
    b"\x5f" * 900,
]


def test_a_lie_about_a_length_costs_no_memory():
    """A message of a few bytes that claims 2^32 elements is refused before anything is set aside for them."""
    tracemalloc.start()
    try:
        for lied in LIES:
            for data in (lied, b"\xd2\x84" + lied, b"\xd2\x84\x43\xa1\x01\x27\xa0" + lied):
                for read in (*OPEN.values(), *UNSIGNED.values()):
                    with pytest.raises(ProtocolError):
                        read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_the_largest_honest_looking_input_is_bounded_in_memory():
    """The smallest elements are the most that a decoder can be made to hold: a few machine words for each byte."""
    full = b"\x9a" + (100_000).to_bytes(4, "big") + bytes(100_000)
    tracemalloc.start()
    try:
        cbor.decode(full, what="thing", limit=1 << 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * len(full)


FOREIGN_IN_A_SMALL_PROCESS = """
import resource, sys
from protocol import envelope
from protocol.errors import ProtocolError
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + (48 << 20),) * 2)
for line in sys.stdin:
    try:
        envelope.parse_foreign(bytes.fromhex(line), limit=8192)
    except ProtocolError:
        pass
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited by Linux here")
def test_foreign_lies_are_refused_in_a_process_with_48_mib_to_spare():
    """The foreign reader is native code, whose memory Python does not count: the kernel does."""
    lies = "\n".join(prefix + lied.hex() for lied in LIES for prefix in ("", "d284", "d28443a10127a0"))
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN_IN_A_SMALL_PROCESS],
        input=lies,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
    )
    assert done.stdout == "done\n"
