"""Everything that makes this device somebody's is erased, in an order that a power cut cannot turn into harm.

The mark comes first: from it on the device is no gate any more, and every start finishes the wipe. The link to the
site goes before the keys, keys before records, the network last, since it alone may need somebody else's help.
The signed proof is sent before all this, by whoever took the command.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from device import durable, sitefile
from device.enrol import pending
from device.enrol.errors import JoinError, SiteError
from device.enrol.pending import ENROLLING, RENEWING, Enrolling, Renewing
from device.enrol.ports import Network
from device.keystore.ports import KeyStore, KeyStoreError
from device.sitefile import SiteConfig
from device.tomlfile import ConfigError

WIPING = "wiping"
"""Below `state_dir`: the mark."""

_MARK_BYTES = 64 * 1024
_NOT_OURS = "lost+found"


class _Mark(msgspec.Struct, frozen=True):
    """What must be erased and would no longer be known once the site is gone: keys by name, files by path."""

    keys: list[str]
    files: list[str]


def wiping(state_dir: Path) -> bool:
    """Whether a wipe was begun and is not finished: then this is no gate, and `finish_wipe` comes first."""
    return (state_dir / WIPING).exists()


def begin_wipe(state_dir: Path, *, given: Sequence[SiteConfig] = ()) -> None:
    """Writes the mark. When this returns the wipe will happen, whatever comes; the process should start again.

    Args:
        state_dir: where everything lies.
        given: the site in force, and the one that a hand-provisioned gate began with: its private files go too.

    Raises:
        SiteError: the disk did not allow it; nothing has begun.
    """
    if wiping(state_dir):
        return
    named = _named(state_dir) | {one.keys.stored for one in given if one.keys.stored is not None}
    private = [path for one in given for path in (one.keys.signing, one.broker.key) if path is not None]
    mark = _Mark(
        keys=sorted(named),
        files=sorted({str(path.resolve()) for path in private}),
    )
    try:
        durable.write_atomic(state_dir / WIPING, msgspec.json.encode(mark))
    except OSError as error:
        raise SiteError(f"the wipe cannot begin: {error}") from error


def finish_wipe(state_dir: Path, *, keys: KeyStore, network: Network | None) -> None:
    """Erases everything; nothing happens where no wipe was begun. Only with no spool open.

    1. The link to the site: nobody starts a gate from here any more.
    2. The private keys, in the key store and as files.
    3. Everything else in `state_dir`: sites, spool, trust, policy, commands, what was begun.
    4. The network.
    5. The mark.

    Raises:
        SiteError: something is left; the mark is still there, and the next start tries again.
    """
    if not wiping(state_dir):
        return
    mark = _read_mark(state_dir)
    # A renewal may have begun a key while the mark was written.
    names = sorted({*mark.keys, *_named(state_dir)})
    # 1.
    steps: list[Callable[[], None]] = [partial(durable.remove_tree, state_dir / sitefile.CURRENT)]
    # 2.
    steps += [partial(keys.erase, name) for name in names]
    steps += [partial(durable.erase, Path(path)) for path in mark.files]
    # 3.
    rest = [path for path in sorted(state_dir.iterdir()) if path.name not in {WIPING, _NOT_OURS}]
    steps += [partial(durable.remove_tree, path, overwrite=True) for path in rest]
    # 4.
    if network is not None:
        steps.append(network.leave)
    # What cannot be erased must not save what can.
    failed = [problem for step in steps if (problem := _problem(step)) is not None]
    # 5.
    if not failed:
        failed = [problem for problem in [_problem(partial(durable.erase, state_dir / WIPING))] if problem is not None]
    if failed:
        raise SiteError("the wipe is not finished: " + "; ".join(failed))


def _problem(step: Callable[[], None]) -> str | None:
    try:
        step()
    except (OSError, KeyStoreError, JoinError) as error:
        return str(error)
    return None


def _read_mark(state_dir: Path) -> _Mark:
    """The mark. One that cannot be read still means a wipe, of what can be found without it."""
    try:
        with (state_dir / WIPING).open("rb") as file:
            return msgspec.json.decode(file.read(_MARK_BYTES), type=_Mark)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Mark(keys=[], files=[])


def _named(state_dir: Path) -> set[str]:
    """The signing keys that anything here names: a site, in force or not, or what was begun and is not done."""
    begun = (pending.load(state_dir / ENROLLING, Enrolling), pending.load(state_dir / RENEWING, Renewing))
    found = {state.signing for state in begun if state is not None}
    for folder in sorted((state_dir / "site").glob("[0-9]*")):
        try:
            found.add(sitefile.load_site(folder).keys.stored)
        except ConfigError:
            continue
    return {name for name in found if name is not None}
