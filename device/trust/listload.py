"""The files of a list -> the list, every signature verified again."""

import logging
from collections.abc import Iterable
from contextlib import suppress

from device.trust.held import HeldList, confirm, hold, step
from device.trust.listfiles import ListFiles, Stamped
from device.trust.refusals import TopicError
from protocol.errors import MalformedError, ProtocolError
from protocol.statuslist import StatusDelta, open_delta, open_list
from protocol.trust import TrustBundle

_LOG = logging.getLogger(__name__)


def issuer_name(trust: TrustBundle, kid: bytes) -> str:
    """The name of the issuer whose key it is; of a key with which something was just verified."""
    issuer = trust.issuer_of(kid)
    if issuer is None:
        raise ValueError(f"no key {kid.hex()} in the bundle")
    return issuer.name


def load_list(files: ListFiles, *, trust: TrustBundle) -> HeldList | None:
    """The list in these files; None where there is none to be believed.

    1. The whole list.
    2. The deltas after it, up to the first that is torn, forged, or does not continue; the rest is cut off.
    3. The heartbeat, if it is of the version that was reached.
    """
    # 1.
    snapshot = files.snapshot()
    if snapshot is None:
        return None
    try:
        token = open_list(snapshot.data, trust=trust, at_s=snapshot.at_s)
    except ProtocolError as error:
        files.set_aside(error)
        return None
    held = hold(token, issuer=issuer_name(trust, token.issuer_kid))
    # 2.
    records = files.deltas()
    held, count = replay(held, (stamped for _, stamped in records), trust=trust)
    length = records[count - 1][0] if count else 0
    if files.loaded(deltas=count, length=length, confirmed_s=held.confirmed_s):
        _LOG.error("lists: %s was cut off after %d deltas, at version %d", held.id, count, held.version)
    # 3.
    heartbeat = files.heartbeat()
    if heartbeat is not None:
        try:
            delta = _open(heartbeat, held, trust)
        except ProtocolError as error:
            _LOG.error("lists: the heartbeat of %s is not to be believed: %s", held.id, error)
        else:
            if delta.from_version == delta.to_version == held.version:
                held = confirm(held, at_s=delta.issued_s, kid=delta.issuer_kid)
    return held


def replay(held: HeldList, deltas: Iterable[Stamped], *, trust: TrustBundle) -> tuple[HeldList, int]:
    """The list after these deltas, and how many of them count. Those up to its version change nothing."""
    count = 0
    for stamped in deltas:
        try:
            delta = _open(stamped, held, trust)
            if delta.to_version > held.version:
                if delta.from_version != held.version:
                    raise MalformedError("status delta.from", f"{delta.from_version} instead of {held.version}")
                held = step(held, delta)
        except ProtocolError as error:
            _LOG.error("lists: a kept delta of %s does not count: %s", held.id, error)
            break
        count += 1
    return held, count


def continuing(held: HeldList, deltas: Iterable[Stamped], *, trust: TrustBundle) -> list[Stamped]:
    """Those that lead beyond this list. One that cannot be believed any more may well lie before it: it is left out."""
    found = []
    for stamped in deltas:
        with suppress(ProtocolError):
            if _open(stamped, held, trust).to_version > held.version:
                found.append(stamped)
    return found


def _open(stamped: Stamped, held: HeldList, trust: TrustBundle) -> StatusDelta:
    delta = open_delta(stamped.data, trust=trust, at_s=stamped.at_s)
    if (issuer_name(trust, delta.issuer_kid), delta.uri) != (held.issuer, held.uri):
        raise TopicError("status delta", "of another list")
    return delta
