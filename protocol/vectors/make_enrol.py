"""Vectors of a device's identity: enrolment, renewal, device keys, fingerprints.

Certificates and certificate requests in them are filler: the wire checks their lengths only.
"""  # noqa: INP001 - as raw.py

from dataclasses import replace
from typing import Any

from protocol import cbor, envelope
from protocol.devicekey import DeviceKey, seal_device_key
from protocol.enrolment import (
    Configuration,
    EnrolmentAnswer,
    EnrolmentRequest,
    EnrolmentState,
    encode_answer,
    seal_request,
)
from protocol.envelope import AAD_DEVICE_KEY, AAD_ENROLMENT, AAD_RENEWAL, AAD_RENEWAL_PROOF
from protocol.policy import seal_policy
from protocol.renewal import RenewalAnswer, RenewalRequest, encode_renewal_answer, seal_renewal
from protocol.terms import Direction
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey, seal_trust
from protocol.vectors.faults import Bad, Changes, all_bad, faults, good, missing, payload_of
from protocol.vectors.make_checkins import AT_MS, DEVICE
from protocol.vectors.make_gate import AT_S, GATE, PLACE, POLICY
from protocol.vectors.make_provisioning import CODE
from protocol.vectors.plain import plain
from protocol.vectors.raw import KEYS, Vector, accepted, filler, refused, sign1, signer, with_pairs
from protocol.words import fingerprint_characters, fingerprint_words

REQUEST = EnrolmentRequest(
    token=CODE.token, csr=filler("csr", 250), key=signer("device").public, serial="10000000a1b2c3d4",
    model="Raspberry Pi 5 Model B", firmware="0.2.0",
)  # fmt: skip
BUNDLE = TrustBundle(
    version=1, issued_s=AT_S, expires_s=AT_S + 10**7,
    issuers=(Issuer(name="province", region="CN-11", keys=(
        TrustedKey(key=signer("issuer").public, uses=frozenset({KeyUse.CODE}), not_before_s=AT_S,
                   not_after_s=AT_S + 10**7),
    )),),
)  # fmt: skip
CONFIGURATION = Configuration(
    device=DEVICE, chain=(filler("certificate", 480), filler("authority", 400)), broker_host="hub.example",
    broker_port=8883, ca=filler("authority", 400), hub_keys=(signer("hub").public,), root=signer("root").public,
    place=PLACE, gate=GATE, direction=Direction.IN, policy=seal_policy(POLICY, key=signer("hub")),
    trust=seal_trust(BUNDLE, key=signer("root")), hub_url=CODE.url,
)  # fmt: skip
ANSWER = EnrolmentAnswer(id=filler("enrolment", 16), state=EnrolmentState.APPROVED, configuration=CONFIGURATION)
RENEWAL = RenewalRequest(device=DEVICE, csr=filler("renewal csr", 250), at_ms=AT_MS)
NEW_KEY_RENEWAL = replace(RENEWAL, new_key=signer("device-p256").public)
DEVICE_KEY = DeviceKey(device=DEVICE, key=signer("device").public, place=PLACE, gate=GATE, from_ms=AT_MS)


def make_enrolments() -> list[Vector]:
    """Requests, each signed by the key that it carries."""
    p256 = replace(REQUEST, key=signer("device-p256").public, csr=filler("csr", 2048))
    sealed = seal_request(REQUEST, key=signer("device"))
    names = {1: "token", 2: "csr", 3: "key", 4: "serial", 5: "model", 6: "firmware"}
    changes: Changes = [
        *missing(names),
        ("token-long", "a token of 17 bytes", {1: bytes(17)}),
        ("csr-empty", "an empty CSR", {2: b""}),
        ("csr-2049", "a CSR of 2,049 bytes", {2: bytes(2049)}),
        ("key-bytes", "an encoded key instead of a map", {3: cbor.encode(REQUEST.key.cose_key)}),
        ("key-small-order", "a key with which everybody can sign", {3: {1: 1, -1: 6, -2: bytes(32)}}),
        ("serial-empty", "no serial", {4: ""}),
        ("model-65", "a model of 65 characters", {5: "m" * 65}),
        ("firmware-escape", "a text that would steer a terminal", {6: "\x1b[2J"}),
    ]
    stolen = sign1(payload_of(sealed), key=signer("stranger"), aad=AAD_ENROLMENT,
                   protected=cbor.encode({1: -8, 4: REQUEST.key.kid}))  # fmt: skip
    return [
        good("usual", "a device with an Ed25519 key", sealed, REQUEST, AAD_ENROLMENT),
        good("es256", "a device with a TPM, and the longest CSR", seal_request(p256, key=signer("device-p256")), p256,
             AAD_ENROLMENT),
        *all_bad(
            [
                *faults(sealed, AAD_ENROLMENT, by="device", other_signer="bad_signature", changes=changes),
                ("key-of-another", "a key that the sender does not hold, under its kid", stolen, "bad_signature"),
                ("too-long", "more than 4,096 bytes", sealed + bytes(4096), "limit"),
            ]
        ),
    ]  # fmt: skip


def make_enrolment_answers() -> list[Vector]:
    """Answers to enrolment; not signed, for they come over TLS from the hub that the code named."""
    values = [
        ("approved", "approved, with a configuration", ANSWER),
        ("waiting", "nobody has looked yet", EnrolmentAnswer(id=ANSWER.id, state=EnrolmentState.WAITING)),
        ("refused", "refused", EnrolmentAnswer(id=ANSWER.id, state=EnrolmentState.REFUSED)),
    ]
    inner = cbor.decode(encode_answer(ANSWER), what="answer", limit=1 << 16)[3]

    def configured(**changes: Any) -> bytes:
        changed = inner | {int(key[1:]): value for key, value in changes.items()}
        return cbor.encode({1: ANSWER.id, 2: 1, 3: {key: item for key, item in changed.items() if item is not None}})

    key = inner[7]
    names = ["device", "chain", "host", "port", "ca", "hub-keys", "root", "place", "gate", "direction", "policy"]
    names += ["trust", "hub-url"]
    bad: Bad = [
        ("id-short", "an id of 15 bytes", cbor.encode({1: bytes(15), 2: 0}), "malformed"),
        ("state-three", "a state that does not exist", cbor.encode({1: ANSWER.id, 2: 3}), "malformed"),
        ("state-false", "false is not 0", cbor.encode({1: ANSWER.id, 2: False}), "malformed"),
        ("approved-without", "approved, yet no configuration", cbor.encode({1: ANSWER.id, 2: 1}), "malformed"),
        ("waiting-with", "a configuration before anybody looked", cbor.encode({1: ANSWER.id, 2: 0, 3: inner}),
         "malformed"),
        *((f"missing-{name}", f"no {name}", configured(**{f"_{at}": None}), "malformed")
          for at, name in enumerate(names, 1)),
        ("chain-empty", "no certificate", configured(_2=[]), "malformed"),
        ("chain-five", "five certificates", configured(_2=[b"c"] * 5), "malformed"),
        ("certificate-2049", "a certificate of 2,049 bytes", configured(_2=[bytes(2049)]), "malformed"),
        ("host-space", "a host with a space", configured(_3="hub example"), "malformed"),
        ("port-zero", "port 0", configured(_4=0), "malformed"),
        ("port-true", "true is not 1", configured(_4=True), "malformed"),
        ("hub-keys-empty", "no hub key", configured(_6=[]), "malformed"),
        ("hub-key-twice", "a hub key twice", configured(_6=[key, key]), "malformed"),
        ("root-other-curve", "a key of another curve", configured(_7={1: 1, -1: 4, -2: bytes(32)}), "unsupported"),
        ("place-slash", "a place that is no id", configured(_8="mall/1"), "malformed"),
        ("direction-two", "a direction that does not exist", configured(_10=2), "malformed"),
        ("policy-empty", "an empty policy", configured(_11=b""), "malformed"),
        ("policy-map", "a policy that is not sealed", configured(_11={1: 1}), "malformed"),
        ("hub-url-http", "a hub without TLS", configured(_13="http://hub.example"), "malformed"),
        ("unknown-low-key", "unknown key 14 in the configuration", configured(_14=0), "malformed"),
        ("trailing-byte", "a byte after the end", encode_answer(ANSWER) + b"\x00", "malformed"),
    ]  # fmt: skip
    return [
        *(accepted(name, shows, {"hex": encode_answer(value).hex()}, plain(value)) for name, shows, value in values),
        *all_bad(bad),
        refused("too-long", "more than 98,304 bytes", {"hex_repeated": [["00", 98_305]]}, "limit"),
    ]


def make_renewals() -> list[Vector]:
    """Renewals by the present key, with the proof of a new one."""
    opener: dict[str, Any] = {"device_keys": ["device"]}
    sealed = seal_renewal(RENEWAL, key=signer("device"))
    both = seal_renewal(NEW_KEY_RENEWAL, key=signer("device"), new_key=signer("device-p256"))
    inner = cbor.decode(payload_of(both), what="renewal", limit=4096)
    proven = envelope.parse(inner[5], what="proof", limit=256).payload

    def with_proof(proof: bytes | None) -> bytes:
        return sign1(with_pairs(payload_of(both), {5: proof}), key=signer("device"), aad=AAD_RENEWAL)

    changes: Changes = [
        *missing({1: "device", 2: "csr", 4: "at"}),
        ("csr-2049", "a CSR of 2,049 bytes", {2: bytes(2049)}),
        ("at-true", "true is not 1", {4: True}),
        ("key-without-proof", "a new key without its proof", {3: inner[3]}),
        ("proof-without-key", "a proof without a key", {5: inner[5]}),
    ]
    foreign = sign1(proven, key=signer("stranger"), aad=AAD_RENEWAL_PROOF)
    as_renewal = sign1(proven, key=signer("device-p256"), aad=AAD_RENEWAL)
    bad: Bad = [
        *faults(sealed, AAD_RENEWAL, by="device", other_signer="unknown_key", changes=changes),
        ("by-the-new-key", "signed by the new key alone",
         sign1(payload_of(both), key=signer("device-p256"), aad=AAD_RENEWAL), "unknown_key"),
        ("proof-foreign", "the proof of another key", with_proof(foreign), "bad_signature"),
        ("proof-aad", "a proof signed as if it were a renewal", with_proof(as_renewal), "bad_signature"),
        ("proof-of-another", "the proof of another request",
         sign1(with_pairs(payload_of(both), {4: AT_MS + 1}), key=signer("device"), aad=AAD_RENEWAL), "bad_signature"),
        ("proof-garbage", "a proof that is none", with_proof(b"proof"), "malformed"),
        ("too-long", "more than 4,096 bytes", sealed + bytes(4096), "limit"),
    ]  # fmt: skip
    return [
        good("certificate", "a new certificate only", sealed, RENEWAL, AAD_RENEWAL, **opener),
        good("new-key", "a new signing key too", both, NEW_KEY_RENEWAL, AAD_RENEWAL, **opener),
        *all_bad(bad, **opener),
    ]


def make_renewal_answers() -> list[Vector]:
    """The new certificates; not signed."""
    value = RenewalAnswer(chain=CONFIGURATION.chain)
    data = encode_renewal_answer(value)
    bad: Bad = [
        ("chain-missing", "no list", with_pairs(data, {1: None}), "malformed"),
        ("chain-empty", "no certificate", with_pairs(data, {1: []}), "malformed"),
        ("chain-five", "five certificates", with_pairs(data, {1: [b"c"] * 5}), "malformed"),
        ("certificate-empty", "an empty certificate", with_pairs(data, {1: [b""]}), "malformed"),
        ("unknown-low-key", "unknown key 2", with_pairs(data, {2: 0}), "malformed"),
        ("too-long", "more than 9,216 bytes", with_pairs(data, {65: bytes(9216)}), "limit"),
    ]
    return [accepted("renewed", "two certificates", {"hex": data.hex()}, plain(value)), *all_bad(bad)]


def make_device_keys() -> list[Vector]:
    """What the hub tells the platform of a device."""
    p256 = replace(DEVICE_KEY, key=signer("device-p256").public)
    sealed = seal_device_key(DEVICE_KEY, key=signer("hub"))
    changes: Changes = [
        *missing({1: "device", 2: "key", 3: "place", 4: "gate", 5: "from"}),
        ("device-short", "a device id of 7 bytes", {1: DEVICE[:7]}),
        ("place-slash", "a place that is no id", {3: "mall/1"}),
        ("from-true", "true is not 1", {5: True}),
    ]
    bad: Bad = [
        *faults(sealed, AAD_DEVICE_KEY, by="hub", other_signer="bad_signature", changes=changes),
        ("by-the-device", "signed by the device itself",
         seal_device_key(DEVICE_KEY, key=signer("device")), "bad_signature"),
        ("too-long", "more than 512 bytes", sealed + bytes(512), "limit"),
    ]  # fmt: skip
    return [
        good("ed25519", "an Ed25519 key", sealed, DEVICE_KEY, AAD_DEVICE_KEY, key="hub"),
        good("es256", "a P-256 key", seal_device_key(p256, key=signer("hub")), p256, AAD_DEVICE_KEY, key="hub"),
        *all_bad(bad, key="hub"),
    ]


def make_fingerprints() -> list[Vector]:
    """The words and characters by which people compare a key."""
    return [
        accepted(
            name,
            "four words, four characters",
            {"key": name},
            {
                "words": list(fingerprint_words(named.key.public)),
                "characters": fingerprint_characters(named.key.public),
            },
        )
        for name, named in KEYS.items()
    ]
