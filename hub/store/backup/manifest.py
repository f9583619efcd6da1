"""What an archive says of itself. Its first member, as JSON."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from hub.store.errors import StoreError

FORMAT: Final = 1
DATABASE: Final = "hub.sqlite"
CONFIG: Final = "hub.toml"
MANIFEST: Final = "manifest.json"
MANIFEST_BYTES: Final = 64 * 1024
"""Every file that a configuration can name takes a tenth of this."""
FILE_BYTES: Final = 1024 * 1024
"""Any file but the database: keys, certificates, the bundle."""
_HOUR_MS: Final = 3_600_000


class BackupError(StoreError):
    """An archive cannot be made, read or put in place; the sentence says why."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the archive. `private`: for its owner only."""

    name: Annotated[str, Meta(pattern=r"^[a-z]+(\.[a-z]+)*\Z", max_length=64)]
    size_bytes: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    private: bool


class Contents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the database holds.

    Attributes:
        schema: its version.
        checkins: rows.
        waiting: rows that the platform had not signed for.
        personal: rows, quarantined entries and visits at desks whose sealed bytes are in the archive.
        newest_ms: when the newest row was received; None without rows.
    """

    schema: Annotated[int, Meta(ge=1)]
    checkins: Annotated[int, Meta(ge=0)]
    waiting: Annotated[int, Meta(ge=0)]
    personal: Annotated[int, Meta(ge=0)]
    newest_ms: int | None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first member of an archive. `ends_ms`: by then it must be gone; None where it holds no personal data."""

    format: int
    hub_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    made_ms: Annotated[int, Meta(ge=0)]
    version: Annotated[str, Meta(max_length=64)]
    ends_ms: int | None
    contents: Contents
    parts: tuple[Part, ...]


def end_of(contents: Contents, *, made_ms: int, personal_h: int, quarantine_h: int) -> int | None:
    """When personal data in a copy are over: no later than those in the hub that were received at its last moment."""
    return made_ms + min(personal_h, quarantine_h) * _HOUR_MS if contents.personal else None


def write_manifest(manifest: Manifest) -> bytes:
    """For people and programs."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def read_manifest(data: bytes) -> Manifest:
    """The manifest of an archive of this format.

    Raises:
        BackupError: it is none, or names a file twice, or no database.
    """
    try:
        told = msgspec.json.decode(data)
        if isinstance(told, dict) and isinstance(told.get("format"), int) and told["format"] > FORMAT:
            raise BackupError(f"{MANIFEST}: format {told['format']} is a newer Gatelight's; this one reads {FORMAT}")
        manifest = msgspec.convert(told, Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BackupError(f"{MANIFEST}: {error}") from error
    names = [part.name for part in manifest.parts]
    if len(set(names)) != len(names) or DATABASE not in names or CONFIG not in names:
        raise BackupError(f"{MANIFEST}: `parts` must name {DATABASE}, {CONFIG} and others once each")
    for part in manifest.parts:
        if part.name != DATABASE and part.size_bytes > FILE_BYTES:
            raise BackupError(f"{MANIFEST}: {part.name} has {part.size_bytes} bytes, at most {FILE_BYTES} are allowed")
    return manifest
