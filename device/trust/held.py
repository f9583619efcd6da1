"""One status list as a gate holds it. Pure: every change makes a new value, so that readers never see half of one."""

from dataclasses import dataclass, replace

from device.model import ListEntry
from protocol.statuslist import ListToken, StatusDelta, StatusList, apply_delta, list_id
from protocol.terms import Colour

AHEAD_S = 300
"""Issuers and gates may disagree by so much. What was signed later than that is not from now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldList:
    """A list of one issuer at one version.

    Attributes:
        issuer: the issuer's name in the trust bundle.
        id: the list's name in topics.
        statuses: nobody writes into it any more.
        entries: what a look-up answers, by status; made once a version and not once a look-up.
        confirmed_s: when its issuer last said that this version is current.
        confirmed_by: the key that said so.
        expires_s: the end of the token, unless the issuer confirmed the version after it was signed.
        signers: the keys of everything that led to this version, from the last whole list on.
        step: the last delta's first version and a stand-in for its changes, to notice another one with the same
            numbers; None where there was none.
    """

    issuer: str
    uri: str
    id: str
    version: int
    statuses: StatusList
    entries: tuple[ListEntry, ...]
    confirmed_s: int
    confirmed_by: bytes
    expires_s: int | None
    signers: frozenset[bytes]
    step: tuple[int, int] | None = None

    def is_fresh(self, *, now_s: int, stale_s: int) -> bool:
        """Whether it was confirmed recently enough, has not expired, and was not signed well after `now_s`."""
        expired = self.expires_s is not None and now_s > self.expires_s
        return -AHEAD_S <= now_s - self.confirmed_s <= stale_s and not expired

    def look_up(self, index: int, *, now_s: int, stale_s: int) -> ListEntry | None:
        """The entry; None beyond the list, and when it is stale, expired, or signed well after `now_s`."""
        if not self.is_fresh(now_s=now_s, stale_s=stale_s):
            return None
        try:
            return self.entries[self.statuses.get(index)]
        except IndexError:
            return None


def hold(token: ListToken, *, issuer: str) -> HeldList:
    """A whole list, as opened."""
    return HeldList(
        issuer=issuer,
        uri=token.uri,
        id=list_id(token.uri),
        version=token.version,
        statuses=StatusList(token.packed),
        entries=_entries(token.version),
        confirmed_s=token.issued_s,
        confirmed_by=token.issuer_kid,
        expires_s=token.expires_s,
        signers=frozenset({token.issuer_kid}),
    )


def step(held: HeldList, delta: StatusDelta) -> HeldList:
    """The list after a delta that begins at its version.

    Raises:
        MalformedError: a change lies beyond the list.
    """
    packed = bytearray(held.statuses.packed)
    apply_delta(packed, delta)
    return replace(
        held,
        version=delta.to_version,
        statuses=StatusList(packed),
        entries=_entries(delta.to_version),
        confirmed_s=max(held.confirmed_s, delta.issued_s),
        confirmed_by=delta.issuer_kid,
        expires_s=None,
        signers=held.signers | {delta.issuer_kid},
        step=_step_of(delta),
    )


def confirm(held: HeldList, *, at_s: int, kid: bytes) -> HeldList:
    """The list after its issuer said, with that key, that it was current `at_s`; an older word changes nothing."""
    if at_s <= held.confirmed_s:
        return held
    return replace(held, confirmed_s=at_s, confirmed_by=kid, expires_s=None)


def is_fork(held: HeldList, delta: StatusDelta) -> bool:
    """Whether a delta has the numbers of the last one and other changes."""
    return (
        held.step is not None
        and (delta.from_version, delta.to_version) == (held.step[0], held.version)
        and _step_of(delta) != held.step
    )


def _step_of(delta: StatusDelta) -> tuple[int, int]:
    return delta.from_version, hash(delta.changes)


def _entries(version: int) -> tuple[ListEntry, ...]:
    return tuple(ListEntry(colour=Colour(status), version=version) for status in range(4))
