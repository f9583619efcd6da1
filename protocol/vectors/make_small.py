"""Vectors of keys, presence and topics, and the tables of numbers."""  # noqa: INP001 - as raw.py

import re
from dataclasses import replace
from enum import IntEnum
from typing import Any

from protocol import limits, topics
from protocol.command import CommandName
from protocol.enrolment import EnrolmentState
from protocol.health import ClockSource, Health, State, Supply, UpdateFailure, encode_health
from protocol.keys import EDDSA, VerifyKey, encode_key
from protocol.presence import DevicePresence, HubPresence, encode_device_presence, encode_hub_presence
from protocol.reasons import GREY_REASONS, SENTENCES
from protocol.statuslist import list_id
from protocol.terms import CertificateKind, Clock, Colour, Direction, Kind, PlaceKind, Scheme, Verdict
from protocol.trust import KeyUse
from protocol.vectors.make_checkins import AT_MS, DEVICE, EPOCH
from protocol.vectors.make_status import URI
from protocol.vectors.plain import plain
from protocol.vectors.raw import KEYS, NamedKey, Raw, Vector, accepted, filler, pairs, refused, with_pairs

P256_PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF


def make_keys() -> list[Vector]:
    """The keys of all vectors, then COSE_Key maps that must be refused."""
    ed25519, p256 = KEYS["issuer"].key.public, KEYS["issuer-p256"].key.public
    x, y = p256.x, p256.y
    beyond = (5 + P256_PRIME).to_bytes(32, "big")
    made = [
        ("small-order", "the point of order 1", pairs((1, 1), (-1, 6), (-2, b"\x01" + bytes(31))), "malformed"),
        ("small-order-8", "a point of order 8", pairs((1, 1), (-1, 6), (-2, _ORDER_8)), "malformed"),
        ("not-canonical", "a y that is not below the prime",
         pairs((1, 1), (-1, 6), (-2, b"\xff" * 31 + b"\x7f")), "malformed"),
        ("not-on-edwards25519", "no point has this y", pairs((1, 1), (-1, 6), (-2, b"\x02" + bytes(31))), "malformed"),
        ("ed25519-short", "31 bytes", pairs((1, 1), (-1, 6), (-2, ed25519.x[:31])), "malformed"),
        ("ed25519-x-missing", "no x", pairs((1, 1), (-1, 6)), "malformed"),
        ("ed25519-with-kid", "a member more than the thumbprint has",
         pairs((1, 1), (2, ed25519.kid), (-1, 6), (-2, ed25519.x)), "malformed"),
        ("kty-true", "true is not 1", pairs((1, Raw(b"\xf5")), (-1, 6), (-2, ed25519.x)), "malformed"),
        ("p256-crv-true", "true is not 1", pairs((1, 2), (-1, Raw(b"\xf5")), (-2, x), (-3, y)), "malformed"),
        ("p256-off-curve", "a y that does not fit",
         pairs((1, 2), (-1, 1), (-2, x), (-3, bytes(31) + b"\x01")), "malformed"),
        ("p256-infinity", "zeros", pairs((1, 2), (-1, 1), (-2, bytes(32)), (-3, bytes(32))), "malformed"),
        ("p256-x-not-reduced", "x is 5 plus the prime",
         pairs((1, 2), (-1, 1), (-2, beyond), (-3, _Y_OF_5)), "malformed"),
        ("p256-compressed", "y as a sign", pairs((1, 2), (-1, 1), (-2, x), (-3, True)), "malformed"),
        ("p256-y-missing", "no y", pairs((1, 2), (-1, 1), (-2, x)), "malformed"),
        ("p256-short", "an x of 31 bytes", pairs((1, 2), (-1, 1), (-2, x[:31]), (-3, y)), "malformed"),
        ("order-wrong", "x before the curve", pairs((1, 1), (-2, ed25519.x), (-1, 6)), "malformed"),
        ("array", "not a map", b"\x82\x01\x06", "malformed"),
        ("empty", "no bytes at all", b"", "malformed"),
        ("ed448", "another Edwards curve", pairs((1, 1), (-1, 7), (-2, bytes(57))), "unsupported"),
        ("p384", "another curve", pairs((1, 2), (-1, 2), (-2, bytes(48)), (-3, bytes(48))), "unsupported"),
        ("rsa", "another key type", pairs((1, 3), (-1, bytes(64)), (-2, b"\x01\x00\x01")), "malformed"),
        ("symmetric", "another key type with an integer curve", pairs((1, 4), (-1, 1)), "unsupported"),
        ("too-long", "more than 256 bytes", pairs((1, 1), (-1, 6), (-2, bytes(260))), "limit"),
    ]  # fmt: skip
    return [
        *(_key(named) for named in KEYS.values()),
        *(refused(name, shows, {"hex": data.hex()}, reason) for name, shows, data, reason in made),
    ]


def _key(named: NamedKey) -> Vector:
    public: VerifyKey = named.key.public
    kind = ("EdDSA", "seed") if public.alg == EDDSA else ("ES256", "scalar")
    decoded = {"alg": kind[0], "kid": public.kid.hex(), "x": public.x.hex(), "y": public.y.hex() or None}
    secret = {"label": named.label, f"private_{kind[1]}_hex": named.secret.hex()}
    return accepted(named.name, f"a key of {kind[0]}", {"hex": encode_key(public).hex()}, decoded, secret=secret)


def make_presence() -> list[Vector]:
    """What hub and device say of themselves; not signed."""
    hub = HubPresence(session=filler("session", 8), online=True, at_ms=AT_MS)
    device = DevicePresence(
        session=filler("device session", 8), online=True, epoch=EPOCH, oldest_seq=6, newest_seq=5,
        firmware="0.1.0", trust_version=7, policy_version=0,
    )  # fmt: skip
    h, d = encode_hub_presence(hub), encode_device_presence(device)
    empty = with_pairs(d, {4: 1, 5: 0})
    bad: list[tuple[str, str, str, bytes, str]] = [
        ("hub-online-one", "1 is not true", "hub", with_pairs(h, {2: 1}), "malformed"),
        ("hub-session-short", "a session of 7 bytes", "hub", with_pairs(h, {1: bytes(7)}), "malformed"),
        ("hub-at-missing", "no time", "hub", with_pairs(h, {3: None}), "malformed"),
        ("hub-unknown-low-key", "unknown key 4", "hub", with_pairs(h, {4: 0}), "malformed"),
        ("hub-too-long", "more than 2,048 bytes", "hub", with_pairs(h, {65: bytes(2048)}), "limit"),
        ("device-oldest-zero", "seq counts from 1", "device", with_pairs(d, {4: 0}), "malformed"),
        ("device-oldest-beyond", "oldest is more than newest + 1", "device", with_pairs(d, {4: 7}), "malformed"),
        ("device-firmware-empty", "no firmware version", "device", with_pairs(d, {6: ""}), "malformed"),
        ("device-firmware-long", "a version of 65 characters", "device", with_pairs(d, {6: "v" * 65}), "malformed"),
        ("device-trust-negative", "a negative version", "device", with_pairs(d, {7: -1}), "malformed"),
        ("device-lists-empty", "no lists, written out", "device", with_pairs(d, {9: {}}), "malformed"),
        ("device-lists-array", "lists without versions", "device", with_pairs(d, {9: [bytes(8)]}), "malformed"),
        ("device-lists-id-short", "a list id of 7 bytes", "device", with_pairs(d, {9: {bytes(7): 1}}), "malformed"),
        ("device-lists-id-text", "a list id as a text", "device", with_pairs(d, {9: {"0" * 16: 1}}), "malformed"),
        (
            "device-lists-version-zero",
            "versions count from 1",
            "device",
            with_pairs(d, {9: {bytes(8): 0}}),
            "malformed",
        ),
        (
            "device-lists-65",
            "65 lists",
            "device",
            with_pairs(d, {9: {number.to_bytes(8, "big"): 1 for number in range(65)}}),
            "malformed",
        ),
        ("device-trailing-byte", "a byte after the end", "device", d + b"\x00", "malformed"),
    ]
    listed = replace(device, lists={bytes.fromhex(list_id(URI)): 41, bytes(8): 7})
    offline = HubPresence(session=hub.session, online=False, at_ms=AT_MS)
    return [
        accepted("hub-online", "the hub is there", {"hex": h.hex(), "of": "hub"}, plain(hub)),
        accepted("hub-will", "the hub's last will",
                 {"hex": encode_hub_presence(offline).hex(), "of": "hub"}, plain(offline)),
        accepted("device-empty-spool", "nothing held: oldest is newest + 1",
                 {"hex": d.hex(), "of": "device"}, plain(device)),
        accepted("device-lists", "the versions of two status lists",
                 {"hex": encode_device_presence(listed).hex(), "of": "device"}, plain(listed)),
        accepted("device-new", "a spool that never held anything", {"hex": empty.hex(), "of": "device"},
                 plain(device) | {"oldest_seq": 1, "newest_seq": 0}),
        *(refused(name, shows, {"hex": data.hex(), "of": of}, reason) for name, shows, of, data, reason in bad),
    ]  # fmt: skip


def make_health() -> list[Vector]:
    """How a device fares; not signed."""
    health = Health(
        at_ms=AT_MS, state=State.IN_SERVICE, clock_trusted=True, spool=3, frames=90_000, frames_dropped=12,
        decode_us=900, scans=41, decoder_restarts=0, camera_restarts=1, foreign=2,
    )  # fmt: skip
    data = encode_health(health)
    full = replace(
        health,
        lists_stale=1,
        trust_days=29,
        clock_source=ClockSource.HUB,
        thermometer_ok=True,
        enabled=False,
        refused=3,
        provisioning=1,
        decoded=89_900,
        decode_total_us=81_000_000,
        unsent_s=75,
        board_cc=5_512,
        supply=Supply.WAS_LOW,
        disk_free_mib=21_504,
        disk_mib=29_184,
        update_failed=2_001,
        update_failure=UpdateFailure.UNHEALTHY,
    )
    bad: list[tuple[str, str, bytes, str]] = [
        ("state-three", "a state that does not exist", with_pairs(data, {2: 3}), "malformed"),
        ("clock-one", "1 is not true", with_pairs(data, {3: 1}), "malformed"),
        ("spool-missing", "no depth of the spool", with_pairs(data, {4: None}), "malformed"),
        ("frames-negative", "a negative count", with_pairs(data, {5: -1}), "malformed"),
        ("clock-source-four", "a source that does not exist", with_pairs(data, {14: 4}), "malformed"),
        ("enabled-one", "1 is not true", with_pairs(data, {16: 1}), "malformed"),
        ("unknown-low-key", "unknown key 19", with_pairs(data, {19: 0}), "malformed"),
        ("supply-three", "a supply that does not exist", with_pairs(data, {69: 3}), "malformed"),
        ("board-molten", "a board of 150.01 °C", with_pairs(data, {68: 15_001}), "malformed"),
        ("disk-negative", "a negative size", with_pairs(data, {71: -1}), "malformed"),
        ("update-half", "a failed update without why", with_pairs(data, {72: 2_001}), "malformed"),
        ("update-five", "a failure that does not exist", with_pairs(data, {72: 2_001, 73: 5}), "malformed"),
        ("update-zero", "no release has the number 0", with_pairs(data, {72: 0, 73: 1}), "malformed"),
        ("too-long", "more than 1,024 bytes", with_pairs(data, {99: bytes(1024)}), "limit"),
    ]
    return [
        accepted("in-service", "a gate that does its work", {"hex": data.hex()}, plain(health)),
        accepted("full", "with every field", {"hex": encode_health(full).hex()}, plain(full)),
        accepted("later", "key 74 is a later version's", {"hex": with_pairs(data, {74: 1}).hex()}, plain(health)),
        *(refused(name, shows, {"hex": sealed.hex()}, reason) for name, shows, sealed, reason in bad),
    ]


def make_topics() -> list[Vector]:
    """Topics of a device or of a status list: id and last level."""
    good = [
        topics.checkins,
        topics.receipts,
        topics.presence,
        topics.health,
        topics.policy,
        topics.commands,
        topics.results,
        topics.resolve,
        topics.resolved,
        topics.time,
    ]
    of_list = [topics.status_version, topics.status_snapshot, topics.status_delta]
    bad = [
        ("shard-of-another", "the shard is not the id's", "device", "gatelight/1/d/40/3fa1c20b7d5e9046/checkins"),
        ("upper-case", "the id in upper case", "device", "gatelight/1/d/3F/3FA1C20B7D5E9046/checkins"),
        ("id-short", "an id of 7 bytes", "device", "gatelight/1/d/3f/3fa1c20b7d5e90/checkins"),
        ("version-other", "another version", "device", "gatelight/2/d/3f/3fa1c20b7d5e9046/checkins"),
        ("level-more", "a level too many", "device", "gatelight/1/d/3f/3fa1c20b7d5e9046/checkins/x"),
        ("level-empty", "an empty last level", "device", "gatelight/1/d/3f/3fa1c20b7d5e9046/"),
        ("newline", "a line feed at the end", "device", "gatelight/1/d/3f/3fa1c20b7d5e9046/checkins\n"),
        ("hub", "not a device's", "device", topics.HUB_PRESENCE),
        ("list-of-a-device", "not a status list's", "list", topics.checkins(DEVICE)),
        ("list-id-short", "an id of 7 bytes", "list", "gatelight/1/status/3fa1c20b7d5e90/delta"),
        ("list-upper-case", "the id in upper case", "list", "gatelight/1/status/3FA1C20B7D5E9046/delta"),
        (
            "list-level-other",
            "a last level that a list does not have",
            "list",
            "gatelight/1/status/3fa1c20b7d5e9046/deltas",
        ),
        ("list-newline", "a line feed at the end", "list", "gatelight/1/status/3fa1c20b7d5e9046/delta\n"),
    ]
    return [
        *(
            accepted(
                make.__name__,
                str(make.__doc__),
                {"topic": make(DEVICE), "of": "device"},
                {"device": DEVICE.hex(), "leaf": make.__name__},
            )
            for make in good
        ),
        *(
            accepted(
                make.__name__.replace("_", "-"),
                str(make.__doc__),
                {"topic": make(list_id(URI)), "of": "list"},
                {"list_id": list_id(URI), "leaf": make.__name__.removeprefix("status_")},
            )
            for make in of_list
        ),
        *(refused(name, shows, {"topic": topic, "of": of}, "malformed") for name, shows, of, topic in bad),
    ]  # fmt: skip


def make_terms() -> dict[str, Any]:
    """Every number that has a name, the sentences of reasons, and the limits."""
    kinds: tuple[type[IntEnum], ...] = (
        Colour, Verdict, Direction, Kind, Scheme, Clock, KeyUse, State, EnrolmentState, PlaceKind, CertificateKind
    )  # fmt: skip
    return {
        **{_snake(kind.__name__): {member.name.lower(): member.value for member in kind} for kind in kinds},
        "reason": [
            {"number": reason.value, "name": reason.wire_name, "zh": zh, "en": en, "grey": reason in GREY_REASONS}
            for reason, (zh, en) in SENTENCES.items()
        ],
        "command": [name.value for name in CommandName],
        "limit": {name: value for name, value in vars(limits).items() if name.isupper()},
    }


def _snake(name: str) -> str:
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()


_ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
_Y_OF_5 = bytes.fromhex("459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc")
