"""The values that pass between the stages of a scan and on to the spool."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocol.checkin import Evidence
from protocol.codes import Masked, VerifiedCode
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict


class StorageError(Exception):
    """The spool cannot commit: the disk is full or failing. Nobody may be admitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture of the gate's camera.

    `luma` is uint8 of shape (height, width), rows possibly padded; `at_mono_ns` is the moment of capture
    on the monotonic clock.
    """

    luma: npt.NDArray[np.uint8]
    seq: int
    at_mono_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The texts that were read in one frame; `lost` when the decoder died over it."""

    texts: tuple[str, ...]
    frame_seq: int
    at_mono_ns: int
    decode_ms: float
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """What a status list says of a code, and the list's version. None in its place: no list, or not a fresh one."""

    colour: Colour
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What the platform answered, signed, to an online look-up. `colour` is there when something was `found`."""

    found: bool
    subject: bytes
    colour: Colour | None
    issued_s: int
    expires_s: int
    masked: Masked | None = None
    rule: str | None = None
    issuer_kid: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A code that cannot be believed, and why. Nothing that it says of a person is kept: anyone may have made it."""

    reason: Reason
    code_hash: bytes
    issuer_kid: bytes | None = None
    scheme: Scheme = Scheme.GATELIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedCode:
    """An opaque code or card number that the platform knows, with what it said. The number itself is not in here."""

    scheme: Scheme
    code_hash: bytes
    colour: Colour
    subject: bytes
    issued_s: int
    masked: Masked | None = None
    rule: str | None = None
    issuer_kid: bytes | None = None


Shown = VerifiedCode | ResolvedCode | Refusal
"""What a person showed, as far as bytes, keys and the platform's answer tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A check-in before it has its place in the chain (PROTOCOL §5 without keys 1 to 4)."""

    at_ms: int
    clock: Clock
    place: str
    gate: str
    direction: Direction
    colour: Colour
    verdict: Verdict
    reason: Reason
    code: bytes
    scheme: Scheme
    subject: bytes
    masked: Masked | None
    evidence: Evidence
    temperature_cc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an operator's command; `detail` is for people, `proof` a sealed wipe proof."""

    ok: bool
    detail: str = ""
    proof: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolHead:
    """Where the chain of check-ins stands; `unsent` of them have no receipt."""

    epoch: bytes
    newest_seq: int
    head_hash: bytes
    unsent: int
