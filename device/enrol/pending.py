"""What has been begun and is not done yet, in one small file each: an enrolment, or a renewal.

The keys are named (signing) or kept (TLS) here before anything is asked of the hub, so that after a power cut the
same keys ask again and the hub gives the same answer.
"""

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from device import durable
from device.sitefile import KeyName

ENROLLING = "enrolling"
RENEWING = "renewing"

_FILE = "state.json"
_FILE_BYTES = 8192
"""A code of 311 characters and a PEM of 241."""

Hex16 = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]


class Enrolling(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolment: the code's text, this device's keys, and from the hub's first answer on its id.

    `joined` when the network of the code has been joined; `over` when it is given up and only to be erased.
    """

    code: Annotated[str, Meta(max_length=1024)]
    signing: KeyName
    tls_key: Annotated[str, Meta(max_length=1024)]
    joined: bool = False
    id: Hex16 | None = None
    over: bool = False


class Renewing(msgspec.Struct, frozen=True, kw_only=True):
    """A renewal: the new TLS key, and the new signing key's name where that changes too."""

    tls_key: Annotated[str, Meta(max_length=1024)]
    signing: KeyName | None = None


Pending = TypeVar("Pending", Enrolling, Renewing)


def save(folder: Path, pending: Enrolling | Renewing) -> None:
    """Writes the state, old or new at every moment.

    Raises:
        OSError: the disk did not allow it.
    """
    durable.make_folder(folder)
    durable.write_atomic(folder / _FILE, msgspec.json.encode(pending))


def load(folder: Path, kind: type[Pending]) -> Pending | None:
    """The state; None where nothing has been begun, or where what lies there is none of ours."""
    try:
        with (folder / _FILE).open("rb") as file:
            data = file.read(_FILE_BYTES + 1)
        return msgspec.json.decode(data, type=kind) if len(data) <= _FILE_BYTES else None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def drop(folder: Path) -> None:
    """Erases the state.

    Raises:
        OSError: the disk did not allow it; call again.
    """
    durable.remove_tree(folder, overwrite=True)
