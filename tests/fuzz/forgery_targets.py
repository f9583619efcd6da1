"""The opposite of `signed_targets`: whole objects and real keys, and nothing passes that nobody signed."""

from collections.abc import Callable
from typing import Any

from protocol import (
    batch,
    checkin,
    codes,
    command,
    devicekey,
    policy,
    receipt,
    statuslist,
    trust,
)
from protocol.errors import ProtocolError
from protocol.keys import SIGNATURE_BYTES, low_s
from protocol.trust import KeyUse
from tests.fuzz import seeds
from tests.fuzz.seeds import vectors, wholes
from tests.fuzz.target import Target, require
from tests.fuzz.world import CODES, DEVICE, HUB, LISTS, NOW_S, public


def _verify_code(data: bytes) -> None:
    code = codes.parse_text(codes.to_text(data))
    codes.verify(code, key=CODES.find(code.kid, use=KeyUse.CODE, at_s=NOW_S))


def _verify_checkin(data: bytes) -> None:
    found = checkin.parse_checkin(data)
    key = {key.kid: key for key in (public("device"), public("device-p256"))}.get(found.kid)
    checkin.verify_checkin(found, key=key or public("device"))


_REAL: tuple[tuple[str, Callable[[bytes], Any]], ...] = (
    ("codes", _verify_code),
    ("checkins", _verify_checkin),
    ("receipts", lambda data: receipt.open_receipt(data, key=public("hub"))),
    ("batches", lambda data: batch.open_batch(data, key=public("hub"))),
    ("batch-receipts", lambda data: batch.open_batch_receipt(data, key=public("platform"))),
    ("trust", lambda data: trust.open_trust(data, root=public("root"))),
    ("policies", lambda data: policy.open_policy(data, hub_keys=HUB, device=DEVICE, place="mall-1", gate="north.2")),
    ("commands", lambda data: command.open_command(data, hub_keys=HUB, device=DEVICE)),
    ("wipe-proofs", lambda data: command.open_wipe_proof(data, key=public("device"))),
    ("device-keys", lambda data: devicekey.open_device_key(data, key=public("hub"))),
    ("status-lists", lambda data: statuslist.open_list(data, trust=LISTS, at_s=NOW_S)),
    ("status-deltas", lambda data: statuslist.open_delta(data, trust=LISTS, at_s=NOW_S)),
)


def _known() -> frozenset[bytes]:
    """Everything that was ever signed with these keys, as far as a run can know: the vectors."""
    signed = [bytes.fromhex(vector["input"].get("hex", "")) for name, _ in _REAL for vector in vectors(name)]
    return frozenset(map(_object, (*signed, *seeds.codes())))


def _object(data: bytes) -> bytes:
    """With that one of the two forms of an ES256 signature that has the lower s: a code or list may have the other."""
    return data[:-SIGNATURE_BYTES] + low_s(data[-SIGNATURE_BYTES:])


_SIGNED: list[frozenset[bytes]] = []


def _forgery(data: bytes) -> None:
    """The first byte chooses the object. What passes a real key was signed with it: nothing else may."""
    if not data:
        return
    _, open_ = _REAL[data[0] % len(_REAL)]
    open_(data[1:])
    if not _SIGNED:
        _SIGNED.append(_known())
    require(_object(data[1:]) in _SIGNED[0], "something passed that nobody signed")


def _forgeries():
    for at, (name, _) in enumerate(_REAL):
        for data in seeds.codes() if name == "codes" else wholes(name)():
            yield bytes([at]) + data


FORGERY_TARGETS = (
    Target(
        name="forgery",
        decoder="every open_*, with real keys",
        check=_forgery,
        refuses=(ProtocolError,),
        seeds=_forgeries,
        bytes_max=512,
    ),
)
