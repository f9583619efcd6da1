"""Foreign text -> ResolvedCode or Refusal, by asking the platform. Beside stage 3 of the scan; it never waits.

What this gate cannot read itself, an opaque foreign code or the number of an identity card, is asked for through a
`Resolver`, one at a time. Somebody then stands before the gate, so an answer counts for `BUDGET_MS` from the frame
that showed the code; after that the gate says grey, and an answer that comes later is never looked at.

The text goes to the resolver, which seals it, and is not kept. What stands for it here and in the record is a keyed
hash: an identity number has so few possible values that a bare hash could be turned back by trying them all. The key
(`pepper`) never leaves the gate, and so another gate cannot find the same number by its hash: that a card was just
used is known at this gate alone.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Protocol

from device.model import Refusal, Resolution, ResolvedCode
from protocol.codes import CODE_HASH_BYTES
from protocol.reasons import Reason
from protocol.terms import Scheme

BUDGET_MS = 800
"""PROTOCOL §6: longer than this nobody stands still before a light that says nothing."""

CACHE_ANSWERS = 1024
"""Everybody who comes back within an hour through one gate; about 1 MB. What was asked first goes first."""

PEPPER_BYTES = 32

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


class Resolver(Protocol):
    """The way to the platform. It never blocks: both calls are made between two frames."""

    def ask(self, text: str, scheme: Scheme) -> bytes | None:
        """Send a look-up; its id, or None when it cannot be sent."""

    def answer(self, id: bytes, /) -> Resolution | None:  # noqa: A002 -- as the field of the wire
        """What came back under this id, verified; None while nothing has."""


@dataclass(frozen=True, slots=True)
class _Asked:
    id: bytes
    code_hash: bytes
    scheme: Scheme
    until_ns: int


class Online:
    """The look-ups of one gate: at most one under way, and the answers that policy lets it keep.

    Args:
        resolver: None where nothing can be asked.
        pepper: 32 random bytes that this gate keeps.
    """

    def __init__(self, *, resolver: Resolver | None, pepper: bytes) -> None:
        if len(pepper) != PEPPER_BYTES:
            raise ValueError(f"the pepper is {PEPPER_BYTES} bytes, not {len(pepper)}")
        self._resolver = resolver
        self._pepper = pepper
        self._asked: _Asked | None = None
        # Hash -> the answer and when it came, on the monotonic clock; in the order of coming.
        self._cache: dict[bytes, tuple[Resolution, int]] = {}

    def code_hash(self, text: str, scheme: Scheme) -> bytes:
        """16 bytes that find this text again, at this gate only."""
        keyed = hmac.new(self._pepper, bytes([scheme]) + text.encode(errors="surrogatepass"), hashlib.sha256)
        return keyed.digest()[:CODE_HASH_BYTES]

    def ask(
        self, text: str, scheme: Scheme, *, cache_s: int, shown_ns: int, now_ns: int
    ) -> ResolvedCode | Refusal | None:
        """What is known of the text at once; None when it was asked, and `poll` will tell.

        It takes the place of a look-up that nobody waits for any more.

        Args:
            text: what was shown.
            scheme: as what it is to be looked up.
            cache_s: how old a kept answer may be.
            shown_ns: when the frame was captured that showed it, on the monotonic clock.
            now_ns: the monotonic clock.
        """
        code_hash = self.code_hash(text, scheme)
        kept = self._kept(code_hash, cache_s=cache_s, now_ns=now_ns)
        if kept is not None:
            return _shown(kept, scheme, code_hash)
        query = self._resolver.ask(text, scheme) if self._resolver is not None else None
        if query is None:
            return Refusal(reason=Reason.RESOLVER_TIMEOUT, code_hash=code_hash, scheme=scheme)
        self._asked = _Asked(query, code_hash, scheme, shown_ns + BUDGET_MS * _NS_PER_MS)
        return None

    def poll(self, *, cache_s: int, now_ns: int) -> ResolvedCode | Refusal | None:
        """The outcome of the look-up under way, which then is over; None while there is none."""
        asked = self._asked
        if asked is None or self._resolver is None:
            return None
        if now_ns >= asked.until_ns:
            self._asked = None
            return Refusal(reason=Reason.RESOLVER_TIMEOUT, code_hash=asked.code_hash, scheme=asked.scheme)
        answer = self._resolver.answer(asked.id)
        if answer is None:
            return None
        self._asked = None
        if answer.found and cache_s > 0:
            self._keep(asked.code_hash, answer, now_ns=now_ns)
        return _shown(answer, asked.scheme, asked.code_hash)

    def _keep(self, code_hash: bytes, answer: Resolution, *, now_ns: int) -> None:
        self._cache.pop(code_hash, None)
        if len(self._cache) >= CACHE_ANSWERS:
            del self._cache[next(iter(self._cache))]
        self._cache[code_hash] = answer, now_ns

    def _kept(self, code_hash: bytes, *, cache_s: int, now_ns: int) -> Resolution | None:
        """A kept answer that is neither older than policy allows now nor than the platform said it would hold."""
        answer, came_ns = self._cache.get(code_hash, (None, 0))
        if answer is None:
            return None
        if now_ns - came_ns >= min(cache_s, answer.expires_s - answer.issued_s) * _NS_PER_S:
            del self._cache[code_hash]
            return None
        return answer


def _shown(answer: Resolution, scheme: Scheme, code_hash: bytes) -> ResolvedCode | Refusal:
    """What the answer makes of the code. Found without a colour says nothing about the person: not found."""
    if not answer.found or answer.colour is None:
        return Refusal(reason=Reason.NOT_FOUND, code_hash=code_hash, issuer_kid=answer.issuer_kid, scheme=scheme)
    return ResolvedCode(
        scheme=scheme,
        code_hash=code_hash,
        colour=answer.colour,
        subject=answer.subject,
        issued_s=answer.issued_s,
        masked=answer.masked,
        rule=answer.rule,
        issuer_kid=answer.issuer_kid,
    )
