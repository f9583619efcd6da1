"""Chained check-ins of many gates, sealed before a clock starts, and quicker than a gate seals them.

The bytes are those of `seal_checkin`: a pattern is made by it, the others differ from it only where the fields differ,
and the last is parsed and verified as the hub does. Each is another person: code, subject and times are new in each,
and every fiftieth is shown yellow.
"""

import hashlib
import struct
from dataclasses import dataclass, replace
from functools import cached_property

from protocol import cbor
from protocol.checkin import GENESIS, CheckIn, Evidence, hash_of, parse_checkin, seal_checkin, verify_checkin
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

PLACE = "load"
_YELLOW_EVERY = 50
_AAD = b"gatelight/checkin/1"
_ISSUER = bytes(range(8))


@dataclass(frozen=True)
class Identity:
    """A gate of the load: everything follows from its number."""

    number: int

    @cached_property
    def seed(self) -> bytes:
        return hashlib.sha256(f"load/{self.number}".encode()).digest()

    @cached_property
    def device(self) -> bytes:
        return hashlib.sha256(self.seed).digest()[:8]

    @cached_property
    def key(self) -> Ed25519SigningKey:
        return Ed25519SigningKey(self.seed)

    @property
    def gate(self) -> str:
        return f"G{self.number}"

    @property
    def name(self) -> str:
        """Client id, user name, and common name of its certificate."""
        return self.device.hex()

    def topic(self, leaf: str) -> str:
        return f"gatelight/1/d/{self.name[:2]}/{self.name}/{leaf}"


class Chain:
    """A spool of one gate; `seal` makes its next check-in, `at_ms` its time."""

    def __init__(self, identity: Identity, *, epoch: bytes) -> None:
        self.identity, self.epoch = identity, epoch
        self.seq, self.last = 0, b""
        self._prev = GENESIS
        self._patterns = [
            self._pattern(Colour.GREEN, Verdict.ADMIT, Reason.OK),
            self._pattern(Colour.YELLOW, Verdict.HOLD, Reason.COLOUR_YELLOW),
        ]
        sealed = parse_checkin(self._sample)
        self._head = sealed.envelope.protected

    def seal(self, at_ms: int) -> bytes:
        self.seq += 1
        before, middle, after = self._patterns[self.seq % _YELLOW_EVERY == 0]
        issued_s = struct.pack(">I", at_ms // 1000 - 5)
        person = hashlib.sha512(self.seq.to_bytes(8, "big") + self.epoch).digest()
        payload = b"".join(
            (
                before,
                _uint(self.seq),
                b"\x04\x58\x20",
                self._prev,
                b"\x05\x1b",
                at_ms.to_bytes(8, "big"),
                middle,
                person[:16],
                b"\x0e\x00\x0f\x58\x30",
                person[16:],
                after[0],
                issued_s,
                after[1],
            )
        )
        signed = b"\x84\x6aSignature1" + _string(self._head) + _string(_AAD) + _string(payload)
        signature = self.identity.key.sign(signed)
        self.last = b"\xd2\x84" + _string(self._head) + b"\xa0" + _string(payload) + b"\x58\x40" + signature
        self._prev = hash_of(self.last)
        return self.last

    @property
    def head(self) -> bytes:
        """The hash of the newest check-in."""
        return self._prev

    def check(self) -> None:
        """The newest one is what a gate would have sealed. Raises ProtocolError otherwise."""
        sealed = parse_checkin(self.last)
        verify_checkin(sealed, key=self.identity.key.public)
        assert seal_checkin(sealed.checkin, key=self.identity.key) == self.last

    def _pattern(self, colour: Colour, verdict: Verdict, reason: Reason) -> tuple[bytes, bytes, tuple[bytes, bytes]]:
        code, subject, issued_s = b"\xee" * 16, b"\xdd" * 48, 0x69696969
        draft = CheckIn(
            device=self.identity.device,
            epoch=self.epoch,
            seq=1,
            prev=GENESIS,
            at_ms=1 << 40,
            clock=Clock.TRUSTED,
            place=PLACE,
            gate=self.identity.gate,
            direction=Direction.IN,
            colour=colour,
            verdict=verdict,
            reason=reason,
            code=code,
            scheme=Scheme.GATELIGHT,
            subject=subject,
            evidence=Evidence(issuer_kid=_ISSUER, code_issued_s=issued_s, policy_version=1),
        )
        self._sample = seal_checkin(replace(draft), key=self.identity.key)
        payload = parse_checkin(self._sample).envelope.payload
        before, rest = payload.split(b"\x01\x04\x58\x20" + GENESIS + b"\x05\x1b" + (1 << 40).to_bytes(8, "big"), 1)
        middle, rest = rest.split(code + b"\x0e\x00\x0f\x58\x30" + subject, 1)
        first, second = rest.split(struct.pack(">I", issued_s), 1)
        return before, middle, (first, second)


def _uint(number: int) -> bytes:
    return cbor.encode(number)


def _string(data: bytes) -> bytes:
    size = len(data)
    if size < 24:
        return bytes((0x40 + size,)) + data
    return (b"\x58" + bytes((size,)) if size < 256 else b"\x59" + size.to_bytes(2, "big")) + data


def message(checkins: list[bytes]) -> bytes:
    """As `encode_message`, which looks at every type first."""
    count = len(checkins)
    head = bytes((0x80 + count,)) if count < 24 else bytes((0x98, count))
    return head + b"".join(map(_string, checkins))
