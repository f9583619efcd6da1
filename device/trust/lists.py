"""Signed status lists and deltas -> the colour of an entry, at once and without the network.

The uplink's thread offers what came; the scan thread looks up. They share one dictionary, in which a list is only
ever replaced by another immutable value: a look-up takes one reference and reads a single version, whole, whatever
happens meanwhile. There is no lock on the way of a scan.

This file is longer than most: what may replace what is to be read in one place.
"""

import hashlib
import logging
from dataclasses import replace

from device.model import ListEntry
from device.trust.ahead import Ahead, Key
from device.trust.believed import Believed
from device.trust.clock import GateClock
from device.trust.held import AHEAD_S, HeldList, confirm, hold, is_fork, step
from device.trust.issuers import Issuers
from device.trust.listfiles import ListFiles, Stamped
from device.trust.listload import continuing, issuer_name, load_list, replay
from device.trust.outcomes import Applied, Behind, Ignored
from device.trust.refusals import AheadError, ForkError, RoomError, TopicError
from protocol.codes import StatusRef
from protocol.errors import ProtocolError
from protocol.limits import PRESENCE_LISTS
from protocol.statuslist import ListToken, StatusDelta, list_id, open_delta, open_list
from protocol.trust import KeyUse, TrustBundle

LISTS = PRESENCE_LISTS
"""67 million people in 17 MB; the presence names no more."""

GONE_S = 7 * 86_400
"""A list that nobody confirmed for so long is stale under every policy, and makes room for another."""

_LOG = logging.getLogger(__name__)


class StatusLists:
    """All lists that this gate holds, by issuer and address. `trust_changed` follows each new bundle.

    Args:
        believed: the folder in which `lists/` lies. What is there is verified and loaded.
        issuers: whose keys may sign lists, and whose codes they are for.
        clock: what time it is.
    """

    def __init__(self, *, believed: Believed, issuers: Issuers, clock: GateClock) -> None:
        self._believed = believed
        self._issuers = issuers
        self._clock = clock
        self._folder = believed.folder / "lists"
        self._lists: dict[Key, HeldList] = {}
        self._files: dict[Key, ListFiles] = {}
        self._ahead = Ahead()
        # Key id -> name of its issuer, by the bundle in force: a look-up has no time to ask for more.
        self._names = _names(issuers.current)
        self._load()

    def look_up(self, ref: StatusRef, issuer_kid: bytes, *, now_s: int, stale_s: int) -> ListEntry | None:
        """What the list says of a code whose issuer signed it with that key; for the scan thread, in under 2 µs.

        None when this issuer has no such list here, the list has no such entry, or it is not fresh: last confirmed
        more than `stale_s` ago, expired, or signed more than 5 minutes after `now_s`.
        """
        held = self._lists.get((self._names.get(issuer_kid, ""), ref.uri))
        return None if held is None else held.look_up(ref.index, now_s=now_s, stale_s=stale_s)

    @property
    def versions(self) -> dict[bytes, int]:
        """List id (8 bytes) -> version held, for the presence."""
        found: dict[bytes, int] = {}
        for held in self._lists.copy().values():
            name = bytes.fromhex(held.id)
            found[name] = max(held.version, found.get(name, 0))
        return found

    def stale(self, *, now_s: int, stale_s: int) -> int:
        """How many lists no code can be decided by now."""
        return sum(not held.is_fresh(now_s=now_s, stale_s=stale_s) for held in self._lists.copy().values())

    @property
    def has_room(self) -> bool:
        """Whether one more list can be held, perhaps in the place of one that nobody confirms any more."""
        return len(self._lists) < LISTS or self._gone() is not None

    @property
    def wanting(self) -> frozenset[str]:
        """Ids of lists of which a whole one is wanted for the disk's sake."""
        return frozenset(self._lists[key].id for key, files in self._files.items() if files.wants_snapshot)

    def version_of(self, name: str) -> int:
        """The version held of the list with this id; 0 where there is none."""
        return max((held.version for held in self._lists.values() if held.id == name), default=0)

    def offer_snapshot(self, data: bytes, *, name: str | None = None) -> Applied | Ignored:
        """A whole list.

        1. Signed by a key for lists, and this is its topic.
        2. Not signed ahead of a clock that is to be believed.
        3. Another version replaces an older one, never a newer. The same version has the same entries.
        4. On disk, then whatever was kept of the deltas after it.

        Args:
            data: as received.
            name: the list id in the topic; None where there was no topic.

        Raises:
            ProtocolError, TopicError, AheadError, ForkError: it changes nothing.
            RoomError: a new one, and no room.
        """
        # 1.
        trust, at_s = self._issuers.current, self._issuers.judge_s
        token = open_list(data, trust=trust, at_s=at_s)
        _check_topic("status list", token.uri, name)
        # 2.
        self._check_time("status list", token.issued_s)
        # 3.
        key = (issuer_name(trust, token.issuer_kid), token.uri)
        held = self._lists.get(key)
        if held is not None and token.version <= held.version:
            return self._offer_known(key, held, token, Stamped(at_s, data))
        new = hold(token, issuer=key[0])
        if held is None:
            self._make_room()
            self._files[key] = ListFiles(self._folder / _folder_name(key), believed=self._believed)
        elif held.confirmed_s > new.confirmed_s:
            new = confirm(new, at_s=held.confirmed_s, kid=held.confirmed_by)
        self._lists[key] = new
        # 4.
        self._files[key].keep_snapshot(Stamped(at_s, data), issued_s=token.issued_s)
        self._seen(token.issued_s)
        self._drain(key)
        return Applied(new.id, self._lists[key].version)

    def offer_delta(self, data: bytes, *, name: str | None = None) -> Applied | Behind | Ignored:
        """A delta, or a heartbeat.

        1. Signed by a key for lists, and this is its topic.
        2. Not signed ahead of a clock that is to be believed.
        3. It begins at the version held: in force at once, then on disk.
        4. It ends beyond: kept until the whole list is here. Otherwise it is old, and the one that we know.

        Args:
            data: as received.
            name: the list id in the topic; None where there was no topic.

        Raises:
            ProtocolError, TopicError, AheadError, ForkError: it changes nothing.
        """
        # 1.
        trust, at_s = self._issuers.current, self._issuers.judge_s
        delta = open_delta(data, trust=trust, at_s=at_s)
        _check_topic("status delta", delta.uri, name)
        # 2.
        self._check_time("status delta", delta.issued_s)
        # 3.
        key = (issuer_name(trust, delta.issuer_kid), delta.uri)
        held = self._lists.get(key)
        if held is not None and delta.from_version == held.version:
            outcome = self._apply(key, held, delta, Stamped(at_s, data))
            if not delta.is_heartbeat:
                self._drain(key)
            return outcome
        # 4.
        if held is None or delta.to_version > held.version:
            if not delta.is_heartbeat and (held is None or delta.from_version > held.version):
                self._ahead.put(key, from_version=delta.from_version, data=data)
            return Behind(list_id(delta.uri), delta.to_version)
        if is_fork(held, delta):
            raise ForkError("status delta", f"another one to version {delta.to_version}")
        return Ignored("older")

    def trust_changed(self) -> tuple[str, ...]:
        """A new bundle is in force; the ids of lists that were dropped with it.

        1. A list whose last word came from a key that may not sign for this issuer any more is dropped.
        2. One that would not load again, because only older words came from such a key, is wanted anew.
        """
        trust = self._issuers.current
        self._names = _names(trust)
        dropped = []
        for key, held in list(self._lists.items()):
            # 1.
            if not _may_sign(trust, held.confirmed_by, held.issuer):
                _LOG.warning("lists: %s of %s was dropped: its signer is not trusted any more", held.id, held.issuer)
                dropped.append(held.id)
                self._forget(key)
            # 2.
            elif not all(_may_sign(trust, kid, held.issuer) for kid in held.signers):
                self._files[key].want_snapshot()
        return tuple(dropped)

    def _offer_known(self, key: Key, held: HeldList, token: ListToken, stamped: Stamped) -> Applied | Ignored:
        """A whole list that is not newer: the disk may want it, and it may confirm what is held."""
        files = self._files[key]
        if token.version < held.version:
            kept = files.wants_snapshot and self._rebase(key, held, token, stamped)
            return Ignored("kept" if kept else "older")
        if token.packed != held.statuses.packed:
            raise ForkError("status list", f"another one of version {token.version}")
        if files.wants_snapshot:
            files.keep_snapshot(stamped, issued_s=token.issued_s)
            held = self._lists[key] = replace(held, signers=frozenset({token.issuer_kid}))
        if token.issued_s <= held.confirmed_s:
            return Ignored("same")
        self._lists[key] = confirm(held, at_s=token.issued_s, kid=token.issuer_kid)
        self._seen(token.issued_s)
        return Applied(held.id, held.version)

    def _rebase(self, key: Key, held: HeldList, token: ListToken, stamped: Stamped) -> bool:
        """Shortens the log to this whole list, and of the log what follows it; False if that leads elsewhere."""
        files, trust = self._files[key], self._issuers.current
        begin = hold(token, issuer=held.issuer)
        after = continuing(begin, (kept for _, kept in files.deltas()), trust=trust)
        reached, _ = replay(begin, after, trust=trust)
        if (reached.version, reached.statuses.packed) != (held.version, held.statuses.packed):
            return False
        files.keep_snapshot(stamped, issued_s=held.confirmed_s, then=after)
        self._lists[key] = replace(held, signers=reached.signers)
        return True

    def _apply(self, key: Key, held: HeldList, delta: StatusDelta, stamped: Stamped) -> Applied | Ignored:
        """A delta or heartbeat that begins at the version held."""
        if delta.is_heartbeat:
            if delta.issued_s <= held.confirmed_s:
                return Ignored("same" if delta.issued_s == held.confirmed_s else "older")
            self._lists[key] = confirm(held, at_s=delta.issued_s, kid=delta.issuer_kid)
            self._files[key].keep_heartbeat(stamped, issued_s=delta.issued_s)
        else:
            # Before the disk: whoever turned red is refused at the next scan, however slow the card is.
            self._lists[key] = step(held, delta)
            self._files[key].keep_delta(stamped, issued_s=delta.issued_s)
        self._seen(delta.issued_s)
        return Applied(held.id, delta.to_version)

    def _drain(self, key: Key) -> None:
        """What came before the version that is held now, and continues it."""
        while (data := self._ahead.take(key, version=self._lists[key].version)) is not None:
            at_s = self._issuers.judge_s
            try:
                delta = open_delta(data, trust=self._issuers.current, at_s=at_s)
                self._apply(key, self._lists[key], delta, Stamped(at_s, data))
            except ProtocolError as error:
                _LOG.warning("lists: a delta that was kept does not count: %s", error)
                return

    def _check_time(self, what: str, issued_s: int) -> None:
        if self._clock.trusted and issued_s > self._clock.now_ms() // 1000 + AHEAD_S:
            raise AheadError(what, "signed well after now")

    def _seen(self, issued_s: int) -> None:
        """Raises the clock's floor, so that it lasts over a restart; never beyond a now that is to be believed: one
        issuer's wrong clock must not make ours look wrong.
        """
        if self._clock.trusted and issued_s * 1000 <= self._clock.now_ms():
            self._clock.seen_signed_s(issued_s)

    def _gone(self) -> Key | None:
        """The list that was confirmed longest ago, if that is too long ago for any use."""
        if not self._clock.trusted or not self._lists:
            return None
        key = min(self._lists, key=lambda key: self._lists[key].confirmed_s)
        return key if self._clock.now_ms() // 1000 - self._lists[key].confirmed_s > GONE_S else None

    def _make_room(self) -> None:
        if len(self._lists) < LISTS:
            return
        gone = self._gone()
        if gone is None:
            raise RoomError("status list", f"{LISTS} are held, and all are in use")
        self._forget(gone)

    def _forget(self, key: Key) -> None:
        del self._lists[key]
        self._files.pop(key).remove()

    def _load(self) -> None:
        try:
            folders = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        except OSError as error:
            self._believed.failed("lists were not read", error)
            return
        for folder in folders:
            if len(self._lists) >= LISTS:
                return
            files = ListFiles(folder, believed=self._believed)
            held = load_list(files, trust=self._issuers.current)
            if held is None:
                continue
            key = (held.issuer, held.uri)
            if folder.name != _folder_name(key):
                files.set_aside(TopicError("status list", "in the folder of another list"))
                continue
            self._lists[key], self._files[key] = held, files


def _folder_name(key: Key) -> str:
    """Two issuers may use one address, and must not come into each other's way."""
    issuer, uri = key
    return f"{list_id(uri)}-{hashlib.sha256(issuer.encode()).hexdigest()[:16]}"


def _names(trust: TrustBundle) -> dict[bytes, str]:
    return {trusted.key.kid: issuer.name for issuer in trust.issuers for trusted in issuer.keys}


def _check_topic(what: str, uri: str, name: str | None) -> None:
    if name is not None and list_id(uri) != name:
        raise TopicError(what, "of another list than its topic names")


def _may_sign(trust: TrustBundle, kid: bytes, issuer: str) -> bool:
    found = trust.issuer_of(kid)
    return (
        found is not None
        and found.name == issuer
        and any(trusted.key.kid == kid and KeyUse.STATUS in trusted.uses for trusted in found.keys)
    )
