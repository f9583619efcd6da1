"""Which version of each status list is current, and whether what comes may be handed on. Pure.

The hub needs no list's content: a version, its size, and who may speak of it. A gate that gets what passed here
finds nothing to refuse in it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from protocol.errors import KeyUseError, MalformedError, RollbackError, UnknownKeyError
from protocol.statuslist import ListToken, StatusDelta, StatusList, list_id, open_delta
from protocol.trust import KeyUse, TrustBundle


class Step(Enum):
    """What a delta asks for."""

    RELAY = auto()
    """It continues our version: publish it."""
    FRESH = auto()
    """A heartbeat of our version, newer than the last: publish it."""
    FETCH = auto()
    """It begins or ends at a version that we do not have: the whole list is needed."""
    NOTHING = auto()
    """The list that was fetched holds it already, or a heartbeat came twice."""


@dataclass(slots=True, kw_only=True)
class HeldList:
    """One list. `version` is current; `data` is of `snapshot_version`, which may be a little older."""

    uri: str
    issuer: str = ""
    """Whose it is; empty before the first snapshot."""
    version: int = 0
    issued_s: int = 0
    """When the issuer last said that `version` is current."""
    entries: int = 0
    data: bytes = b""
    snapshot_version: int = 0
    digest: bytes = b""
    kid: bytes = b""
    leapt_from: int = 0
    """Our version before the last snapshot: deltas between come late, not twice."""
    wanted: int = 0
    """The highest version that a verified delta spoke of."""

    @property
    def list_id(self) -> str:
        """Its name in topics."""
        return list_id(self.uri)

    @property
    def behind(self) -> bool:
        """Whether a newer snapshot must exist."""
        return self.snapshot_version < max(self.version, self.wanted) or not self.data


class Lists:
    """All lists that the platform names, by list id."""

    def __init__(self) -> None:
        self._held: dict[str, HeldList] = {}

    def __iter__(self) -> Iterator[HeldList]:
        return iter(self._held.values())

    def __len__(self) -> int:
        return len(self._held)

    def find(self, wanted_id: str) -> HeldList | None:
        """The list with this id."""
        return self._held.get(wanted_id)

    def name(self, uris: Iterable[str]) -> list[HeldList]:
        """These are all lists there are. Returns those that are no longer among them."""
        wanted = {list_id(uri): uri for uri in uris}
        gone = [held for key, held in self._held.items() if key not in wanted]
        self._held = {key: self._held.get(key) or HeldList(uri=uri) for key, uri in wanted.items()}
        return gone

    def add(self, uri: str) -> HeldList:
        """There is this list too."""
        return self._held.setdefault(list_id(uri), HeldList(uri=uri))

    def take_delta(self, data: bytes, *, trust: TrustBundle, at_s: int) -> tuple[HeldList, StatusDelta, Step]:
        """Bytes of the stream -> what to do with them. The list's version has moved when they are to be relayed.

        1. A delta, signed by a key that may sign status lists now.
        2. Of a list that the platform names.
        3. By the issuer of that list.
        4. Not older than what is in force, unless a snapshot overtook it.
        5. Within the list.

        Raises:
            LimitError, MalformedError, UnsupportedError: not a delta, or not of this list.
            UnknownKeyError, KeyUseError, SignatureError: nobody signed it who may.
            RollbackError: older than what is in force, or sent twice.
        """
        # 1.
        delta = open_delta(data, trust=trust, at_s=at_s)
        # 2.
        held = self._held.get(list_id(delta.uri))
        if held is None:
            raise UnknownKeyError("status delta", "of a list that the platform does not name")
        # 3.
        _require_issuer(held, delta.issuer_kid, trust=trust, what="status delta")
        # 4.
        if delta.to_version < held.version or (delta.to_version == held.version and not delta.is_heartbeat):
            if not held.leapt_from <= delta.from_version < held.version:
                raise RollbackError(
                    "status delta", f"{delta.from_version} to {delta.to_version}, version {held.version} is in force"
                )
            return held, delta, Step.NOTHING
        if delta.is_heartbeat and delta.to_version == held.version:
            if delta.issued_s < held.issued_s:
                raise RollbackError("status delta", "a heartbeat older than the last")
            fresh = delta.issued_s > held.issued_s
            held.issued_s = delta.issued_s
            return held, delta, Step.FRESH if fresh else Step.NOTHING
        if not held.version or delta.from_version != held.version:
            held.wanted = max(held.wanted, delta.to_version)
            return held, delta, Step.FETCH
        # 5.
        if delta.changes and delta.changes[-1][0] >= held.entries:
            raise MalformedError("status delta.changes", f"index {delta.changes[-1][0]} is beyond the list")
        held.version = delta.to_version
        held.leapt_from = delta.to_version
        held.issued_s = max(held.issued_s, delta.issued_s)
        return held, delta, Step.RELAY

    def recheck(self, trust: TrustBundle, *, at_s: int) -> list[HeldList]:
        """Another bundle is in force. Returns the lists whose signer it does not believe: their data are gone."""
        lost = []
        for held in self._held.values():
            if not held.data:
                continue
            try:
                trust.find(held.kid, use=KeyUse.STATUS, at_s=at_s)
            except (UnknownKeyError, KeyUseError):
                held.data, held.issuer = b"", ""
                lost.append(held)
            else:
                issuer = trust.issuer_of(held.kid)
                held.issuer = "" if issuer is None else issuer.name
        return lost

    @staticmethod
    def take_snapshot(held: HeldList, data: bytes, token: ListToken, *, trust: TrustBundle) -> None:
        """A verified list, with its bytes, becomes the one that is handed on.

        1. Of the address that was asked for.
        2. By the issuer whose list it has been.
        3. Not older than the last one, and the same version has the same content.

        Raises:
            MalformedError: another list, or the same version with other content.
            KeyUseError: of another issuer.
            RollbackError: older.
        """
        what = "status list"
        # 1.
        if token.uri != held.uri:
            raise MalformedError(what, "of another address than was asked for")
        # 2.
        issuer = _require_issuer(held, token.issuer_kid, trust=trust, what=what)
        # 3.
        if token.version < held.snapshot_version:
            raise RollbackError(what, f"version {token.version} is older than {held.snapshot_version}")
        digest = hashlib.sha256(token.packed).digest()
        if token.version == held.snapshot_version and held.digest and digest != held.digest:
            raise MalformedError(what, f"version {token.version} with other content than before")
        held.issuer, held.kid, held.digest = issuer, token.issuer_kid, digest
        held.data, held.snapshot_version = data, token.version
        held.entries = StatusList(token.packed).size
        if token.version > held.version:
            held.leapt_from = held.version
            held.version, held.issued_s = token.version, token.issued_s
        elif token.version == held.version:
            held.issued_s = max(held.issued_s, token.issued_s)


def _require_issuer(held: HeldList, kid: bytes, *, trust: TrustBundle, what: str) -> str:
    issuer = trust.issuer_of(kid)
    name = "" if issuer is None else issuer.name
    if held.issuer and name != held.issuer:
        raise KeyUseError(what, f"signed by {name}, but the list is of {held.issuer}")
    return name
