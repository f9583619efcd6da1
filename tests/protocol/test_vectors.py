"""The golden vectors: made again byte for byte, and read as any implementation would."""

import hashlib
import json
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import (
    batch,
    checkin,
    codes,
    command,
    desk,
    desk_answer,
    devicekey,
    enrolment,
    health,
    idnumber,
    placecode,
    placerequest,
    policy,
    presence,
    provisioning,
    receipt,
    renewal,
    resolve,
    statuslist,
    timehint,
    topics,
    trace,
    trust,
    used,
    words,
)
from protocol.errors import ProtocolError, UnknownKeyError
from protocol.keys import EDDSA, decode_key, encode_key
from protocol.limits import TIME_MAX_MS
from protocol.vectors import make
from protocol.vectors.plain import plain
from protocol.vectors.raw import KEYS

FOLDER = Path(make.__file__).parent
PUBLIC = {name: named.key.public for name, named in KEYS.items()}


def load(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["vectors"]


def each(name):
    return pytest.mark.parametrize("vector", [pytest.param(v, id=v["name"]) for v in load(name)])


def data_of(given):
    if "hex" in given:
        return bytes.fromhex(given["hex"])
    return b"".join(bytes.fromhex(part) * times for part, times in given["hex_repeated"])


def check(vector, read):
    """`read` gives the decoded JSON of the vector's input, or raises."""
    expected = vector["expected"]
    if expected["result"] == "accepted":
        assert read(vector["input"]) == expected["decoded"]
    else:
        with pytest.raises(ProtocolError) as caught:
            read(vector["input"])
        assert caught.value.reason == expected["reason"], str(caught.value)
        assert caught.value.where
        assert caught.value.what


def test_the_files_are_what_the_script_makes():
    made = make.build()
    assert {path.name for path in FOLDER.glob("*.json")} == set(made)
    for name, text in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: run python -m protocol.vectors.make"


@pytest.mark.parametrize("name", sorted(make.ABOUT))
def test_names_are_unique_and_every_vector_says_what_it_shows(name):
    vectors = load(name)
    assert len({vector["name"] for vector in vectors}) == len(vectors)
    assert all(vector["shows"] and set(vector) >= {"input", "expected"} for vector in vectors)


@each("keys")
def test_keys(vector):
    def read(given):
        data = data_of(given)
        key = decode_key(data)
        assert encode_key(key) == data
        alg = "EdDSA" if key.alg == EDDSA else "ES256"
        return {"alg": alg, "kid": key.kid.hex(), "x": key.x.hex(), "y": key.y.hex() or None}

    check(vector, read)


@each("codes")
def test_codes(vector):
    def read(given):
        code = codes.parse_text(given["text"])
        key = {PUBLIC[name].kid: PUBLIC[name] for name in given["trusted_keys"]}.get(code.kid)
        if key is None:
            raise UnknownKeyError("code", "no such key")
        return plain(codes.verify(code, key=key))

    check(vector, read)


@each("checkins")
def test_checkins(vector):
    def read(given):
        data = data_of(given)
        sealed = checkin.parse_checkin(data)
        checkin.verify_checkin(sealed, key=PUBLIC[given["key"]])
        return plain(sealed.checkin) | {"hash": sealed.hash.hex()}

    check(vector, read)


@each("chains")
def test_chains(vector):
    key = PUBLIC[vector["input"]["key"]]
    reasons, broken_at = [], None
    device_epoch, seq, prev = None, 0, bytes(32)
    for at, text in enumerate(vector["input"]["hex_list"]):
        data, seq = bytes.fromhex(text), seq + 1
        try:
            sealed = checkin.parse_checkin(data)
        except ProtocolError as error:
            reasons.append(error.reason)
        else:
            one = sealed.checkin
            device_epoch = device_epoch or (one.device, one.epoch)
            continues = (one.device, one.epoch) == device_epoch and one.seq == seq and one.prev == prev
            if broken_at is None and not continues:
                broken_at = at
            try:
                checkin.verify_checkin(sealed, key=key)
            except ProtocolError as error:
                reasons.append(error.reason)
            else:
                reasons.append(None)
        prev = checkin.hash_of(data)
    assert {"record_reasons": reasons, "chain_broken_at": broken_at} == vector["expected"]


@each("messages")
def test_messages(vector):
    check(vector, lambda given: plain(checkin.decode_message(data_of(given))))


@each("receipts")
def test_receipts(vector):
    check(vector, lambda given: plain(receipt.open_receipt(data_of(given), key=PUBLIC[given["key"]])))


@each("batches")
def test_batches(vector):
    def read(given):
        opened = batch.open_batch(data_of(given), key=PUBLIC[given["key"]])
        if len(opened.checkins) < 1000:
            return plain(opened)
        (entry,) = set(opened.checkins)
        decoded = plain(opened)
        del decoded["checkins"]
        return decoded | {"checkins_count": len(opened.checkins), "checkins_each": entry.hex()}

    check(vector, read)


@each("batch-receipts")
def test_batch_receipts(vector):
    check(vector, lambda given: plain(batch.open_batch_receipt(data_of(given), key=PUBLIC[given["key"]])))


@each("trust")
def test_trust(vector):
    def open_it(given):
        return trust.open_trust(data_of(given), root=PUBLIC[given["root"]], current_version=given["current_version"])

    check(vector, lambda given: plain(open_it(given)))
    for asked in vector.get("look_ups", ()):
        bundle = open_it(vector["input"])
        kid, use = bytes.fromhex(asked["kid"]), trust.KeyUse[asked["use"].upper()]
        if asked["reason"] is None:
            assert bundle.find(kid, use=use, at_s=asked["at_s"]).kid == kid
        else:
            with pytest.raises(ProtocolError) as caught:
                bundle.find(kid, use=use, at_s=asked["at_s"])
            assert caught.value.reason == asked["reason"]


def trusting(given, use=trust.KeyUse.STATUS):
    """A bundle in which the keys that a vector names may be used so at any time."""
    keys = tuple(
        trust.TrustedKey(key=PUBLIC[name], uses=frozenset({use}), not_before_s=0, not_after_s=TIME_MAX_MS // 1000)
        for name in given["trusted_keys"]
    )
    issuer = trust.Issuer(name="issuer", region="CN", keys=keys)
    return trust.TrustBundle(version=1, issued_s=0, expires_s=TIME_MAX_MS // 1000, issuers=(issuer,))


@each("status-lists")
def test_status_lists(vector):
    def read(given):
        token = statuslist.open_list(data_of(given), trust=trusting(given), at_s=given["at_s"])
        statuses = statuslist.StatusList(token.packed)
        entries = ((index, statuses.get(index)) for index in range(statuses.size))
        decoded = plain(token) | {
            "list_id": statuslist.list_id(token.uri),
            "size": statuses.size,
            "statuses_not_0": [[index, status] for index, status in entries if status],
        }
        del decoded["packed"]
        return decoded

    check(vector, read)


@each("status-deltas")
def test_status_deltas(vector):
    check(
        vector,
        lambda given: plain(statuslist.open_delta(data_of(given), trust=trusting(given), at_s=given["at_s"])),
    )


def by_kid(names):
    return {PUBLIC[name].kid: PUBLIC[name] for name in names}


def open_policy(given):
    return policy.open_policy(
        data_of(given), hub_keys=by_kid(given["hub_keys"]), device=bytes.fromhex(given["device"]),
        place=given["place"], gate=given["gate"], current_version=given["current_version"],
    )  # fmt: skip


def open_resolved(given):
    return resolve.open_resolved(
        data_of(given), trust=trusting(given, trust.KeyUse.RESOLVED), at_s=given["at_s"],
        device=bytes.fromhex(given["device"]), id=bytes.fromhex(given["id"]),
    )  # fmt: skip


def open_time(given):
    return timehint.open_time(
        data_of(given), hub_keys=by_kid(given["hub_keys"]), device=bytes.fromhex(given["device"]),
        session=bytes.fromhex(given["session"]),
    )  # fmt: skip


def open_command(given):
    device = bytes.fromhex(given["device"])
    return command.open_command(data_of(given), hub_keys=by_kid(given["hub_keys"]), device=device)


def open_query(given):
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(given["private_hex"]))
    return resolve.open_query(data_of(given), private=private)


def open_trace(given):
    hub = bytes.fromhex(given["hub"])
    return trace.open_trace_query(
        data_of(given), trust=trusting(given, trust.KeyUse.TRACE), at_s=given["at_s"], hub=hub
    )  # fmt: skip


def open_place_code(given):
    return placecode.open_place_code(
        given["text"], trust=trusting(given, trust.KeyUse.PLACE), at_s=given["at_s"]
    )  # fmt: skip


def open_applicant(given):
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(given["private_hex"]))
    return placerequest.open_applicant(data_of(given), request_id=bytes.fromhex(given["id"]), private=private)


def open_desk_question(given):
    return desk.open_question(
        data_of(given), private=X25519PrivateKey.from_private_bytes(bytes.fromhex(given["private_hex"]))
    )


def open_desk_answer(given):
    receipt = desk_answer.open_receipt(
        data_of(given), trust=trusting(given, trust.KeyUse.RESOLVED), at_s=given["at_s"],
        id=bytes.fromhex(given["id"]), ask=desk.Ask[given["ask"].upper()],
    )  # fmt: skip
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(given["reply_private_hex"]))
    told, issued_s = desk_answer.open_told(receipt, private=private, nonce=bytes.fromhex(given["nonce"]))
    return {"receipt": receipt, "told": told, "issued_s": issued_s}


READ = {
    "policies": open_policy,
    "commands": open_command,
    "results": lambda given: command.decode_result(data_of(given)),
    "wipe-proofs": lambda given: command.open_wipe_proof(data_of(given), key=PUBLIC[given["key"]]),
    "provisioning": lambda given: provisioning.parse_provisioning(given["text"]),
    "enrolments": lambda given: enrolment.open_request(data_of(given)),
    "enrolment-answers": lambda given: enrolment.decode_answer(data_of(given)),
    "renewals": lambda given: renewal.open_renewal(data_of(given), key_of=by_kid(given["device_keys"]).get),
    "renewal-answers": lambda given: renewal.decode_renewal_answer(data_of(given)),
    "device-keys": lambda given: devicekey.open_device_key(data_of(given), key=PUBLIC[given["key"]]),
    "fingerprints": lambda given: {
        "words": words.fingerprint_words(PUBLIC[given["key"]]),
        "characters": words.fingerprint_characters(PUBLIC[given["key"]]),
    },
    "queries": open_query,
    "resolved": open_resolved,
    "traces": open_trace,
    "trace-answers": lambda given: trace.open_trace_answer(data_of(given), key=PUBLIC[given["key"]]),
    "place-codes": open_place_code,
    "place-requests": lambda given: placerequest.open_place_request(data_of(given), key=PUBLIC[given["key"]]),
    "applicants": open_applicant,
    "desk-questions": open_desk_question,
    "desk-answers": open_desk_answer,
    "used": lambda given: used.decode_used(data_of(given)),
    "time-hints": open_time,
}


@pytest.mark.parametrize(
    ("name", "vector"),
    [pytest.param(name, v, id=f"{name}-{v['name']}") for name in READ for v in load(name)],
)
def test_gate_and_identity(name, vector):
    check(vector, lambda given: plain(READ[name](given)))


@each("id-numbers")
def test_id_numbers(vector):
    assert idnumber.is_id_number(vector["input"]["text"]) is vector["expected"]["id_number"]


@each("presence")
def test_presence(vector):
    read = {"hub": presence.decode_hub_presence, "device": presence.decode_device_presence}
    check(vector, lambda given: plain(read[given["of"]](data_of(given))))


@each("health")
def test_health(vector):
    check(vector, lambda given: plain(health.decode_health(data_of(given))))


@each("topics")
def test_topics(vector):
    def read(given):
        if given["of"] == "list":
            list_id, leaf = topics.parse_status_topic(given["topic"])
            return {"list_id": list_id, "leaf": leaf}
        device, leaf = topics.parse_device_topic(given["topic"])
        return {"device": device.hex(), "leaf": leaf}

    check(vector, read)


def verify_elsewhere(key, message, signature):
    """The signature once more, by another library than the one that the protocol uses for Ed25519."""
    if key.alg == EDDSA:
        ed25519.Ed25519PublicKey.from_public_bytes(key.x).verify(signature, message)
    else:
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(key.x, "big"), int.from_bytes(key.y, "big"), ec.SECP256R1()
        )
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        numbers.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    "name",
    [
        "codes",
        "checkins",
        "receipts",
        "batches",
        "batch-receipts",
        "trust",
        "status-lists",
        "status-deltas",
        "policies",
        "commands",
        "wipe-proofs",
        "enrolments",
        "renewals",
        "device-keys",
        "resolved",
        "place-codes",
        "place-requests",
        "time-hints",
        "desk-answers",
    ],
)  # fmt: skip
def test_the_steps_lead_to_a_signature_that_another_library_accepts(name):
    by_kid = {key.kid: key for key in PUBLIC.values()}
    seen = 0
    for vector in load(name):
        if "steps" not in vector:
            continue
        steps = {key: value for key, value in vector["steps"].items() if key != "external_aad_text"}
        steps = {key: bytes.fromhex(value) for key, value in steps.items()}
        aad = vector["steps"]["external_aad_text"].encode()
        structure = ["Signature1", steps["protected_hex"], aad, steps["payload_hex"]]
        assert cbor2.dumps(structure) == steps["to_be_signed_hex"]
        key = by_kid[cbor2.loads(steps["protected_hex"])[4]]
        assert key.kid == hashlib.sha256(cbor2.dumps(key.cose_key)).digest()[:8]
        verify_elsewhere(key, steps["to_be_signed_hex"], steps["signature_hex"])
        seen += 1
    assert seen
