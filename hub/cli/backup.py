"""`backup` and `restore`: the hub in one file, and back."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

from hub.cli.output import Commands, add_config, config_of, operator, time_text, write_line
from hub.config import HubConfig, load
from hub.store.backup.archive import extract_database, measure, read_manifest, read_small, write_archive
from hub.store.backup.copy import check, copy_database, erase_receipted, look
from hub.store.backup.manifest import (
    CONFIG,
    DATABASE,
    FILE_BYTES,
    FORMAT,
    BackupError,
    Contents,
    Manifest,
    Part,
    end_of,
)
from hub.store.backup.restore import FilePlan, bring_up, plan_files, put_back, refuse_newer, stage, unstage, write_files
from hub.store.backup.rotation import Kept, archive_name, archives_of, going
from hub.store.backup.swap import alone, write_missing

KEEP: Final = 24
"""A day of hourly ones."""
_OTHERS_MAY_NOT: Final = 0o077
_PRIVATE: Final = frozenset({"keys.signing", "broker.key", "platform.key", "ca.key", "console.key"})


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    about = "copy the database of a running hub, its configuration and its keys into one archive"
    parser = commands.add_parser("backup", help=about, description=about)
    add_config(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", type=Path, metavar="FOLDER", help="make an archive there, and remove those that are over")
    what.add_argument("--check", type=Path, metavar="ARCHIVE", help="read an archive whole, and say what is in it")
    parser.add_argument("--keep", type=_count, default=KEEP, help=f"archives of this hub in FOLDER; default: {KEEP}")
    parser.set_defaults(act=_backup)
    about = "put an archive's database in the place of the hub's, and files that are missing in theirs"
    parser = commands.add_parser("restore", help=about, description=about)
    add_config(parser)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--dry-run", action="store_true", help="check everything, change nothing")
    parser.set_defaults(act=_restore)


def named_files(config: HubConfig) -> dict[str, Path]:
    """Every file that belongs to a hub, by its name in an archive, but for database and configuration."""
    named = {
        "keys.signing": config.keys.signing,
        "keys.signing.pub": config.keys.signing.with_name(config.keys.signing.name + ".pub"),
        "keys.root": config.keys.root,
        "trust.bundle": config.trust.bundle,
    }
    for table, tls in (("broker", config.broker), ("platform", config.platform)):
        named |= {f"{table}.ca": tls.ca, f"{table}.cert": tls.cert, f"{table}.key": tls.key}
    if config.ca is not None:
        named |= {"ca.cert": config.ca.cert, "ca.key": config.ca.key}
    if config.console is not None and config.console.cert is not None and config.console.key is not None:
        named |= {"console.cert": config.console.cert, "console.key": config.console.key}
    return named


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1: the newest always stays")
    return count


def _backup(args: argparse.Namespace) -> int:
    try:
        return _verify(args.check) if args.check is not None else _make(args, config_of(args))
    except OSError as error:
        raise BackupError(f"{error.filename}: {error.strerror}") from error


def _make(args: argparse.Namespace, config: HubConfig) -> int:
    folder: Path = args.to
    if not folder.is_dir():
        raise BackupError(f"{folder} is no folder: make it, mode 700, on another disk than the hub's")
    if folder.stat().st_mode & _OTHERS_MAY_NOT:
        raise BackupError(f"{folder}: others than its owner may look into it; chmod 700 it, keys will lie there")
    now_ms = operator().now_ms
    files = {name: path for name, path in named_files(config).items() if path.is_file()}
    for path in files.values():
        if path.stat().st_size > FILE_BYTES:
            raise BackupError(f"{path}: over {FILE_BYTES} bytes, no file of a hub's is that long")
    absent = [path for name, path in named_files(config).items() if name not in files and name != "keys.signing.pub"]
    for left in folder.glob(".gatelight-hub-*"):
        # A run that was ended may have left a copy with personal data.
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".gatelight-hub-") as work:
        copy = Path(work) / DATABASE
        copy_database(config.database, copy)
        asyncio.run(erase_receipted(copy))
        contents = look(copy, schema=check(copy))
        files = {CONFIG: args.config, **files, DATABASE: copy}
        parts = tuple(measure(name, path, private=name in _PRIVATE) for name, path in files.items())
        manifest = _manifest_of(config, contents, parts, now_ms=now_ms)
        target = folder / archive_name(config.hub_id, made_ms=now_ms)
        write_archive(target, manifest=manifest, files=files)
        # What cannot be read again is no backup: from the disk, unpacked, and looked through once more.
        extract_database(target, Path(work) / "again.sqlite")
        check(Path(work) / "again.sqlite")
    write_line(f"archive      {target} ({target.stat().st_size} bytes)")
    _tell(manifest)
    for path in absent:
        sys.stderr.write(f"gatelight-hub: {path}: no such file, so it is not in the archive\n")
    _rotate(folder, config.hub_id, keep=args.keep, now_ms=now_ms)
    return 0


def _manifest_of(config: HubConfig, contents: Contents, parts: tuple[Part, ...], *, now_ms: int) -> Manifest:
    kept = config.retention
    ends_ms = end_of(contents, made_ms=now_ms, personal_h=kept.personal_h, quarantine_h=kept.quarantine_h)
    return Manifest(
        format=FORMAT,
        hub_id=config.hub_id,
        made_ms=now_ms,
        version=version("gatelight"),
        ends_ms=ends_ms,
        contents=contents,
        parts=parts,
    )


def _rotate(folder: Path, hub_id: str, *, keep: int, now_ms: int) -> None:
    kept = [Kept(path=path, ends_ms=_end(path)) for path in archives_of(folder, hub_id)]
    for path in going(kept, keep=keep, now_ms=now_ms):
        path.unlink()
        write_line(f"removed      {path}")


def _end(path: Path) -> int | None:
    """0, which is long over, for what cannot be read: it is no backup, and may hold personal data."""
    try:
        return read_manifest(path).ends_ms
    except BackupError:
        return 0


def _verify(archive: Path) -> int:
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".gatelight-hub-") as work:
        manifest, _ = read_small(archive)
        extract_database(archive, Path(work) / DATABASE)
        check(Path(work) / DATABASE)
    write_line(f"archive      {archive} is whole")
    _tell(manifest)
    return 0


def _tell(manifest: Manifest) -> None:
    held = manifest.contents
    write_line(f"made         {time_text(manifest.made_ms)} by Gatelight {manifest.version}, hub {manifest.hub_id}")
    write_line(
        f"database     schema {held.schema}, {held.checkins} check-ins, {held.waiting} not signed for by the platform"
    )
    newest = "none" if held.newest_ms is None else time_text(held.newest_ms)
    write_line(f"newest       {newest}")
    if manifest.ends_ms is None:
        write_line("ends         never: no personal data in it. It holds the hub's keys")
    else:
        write_line(
            f"ends         {time_text(manifest.ends_ms)}, copies elsewhere too: {held.personal} sealed records in it"
        )


def _restore(args: argparse.Namespace) -> int:
    try:
        return _put_back(args)
    except OSError as error:
        raise BackupError(f"{error.filename}: {error.strerror}") from error


def _put_back(args: argparse.Namespace) -> int:
    manifest, small = read_small(args.archive)
    refuse_newer(args.archive, manifest.contents.schema)
    config, brought = _config_for(args.config, small[CONFIG], dry_run=args.dry_run)
    if config.hub_id != manifest.hub_id:
        raise BackupError(f"{args.archive} is of hub {manifest.hub_id}, and {args.config} of hub {config.hub_id}")
    database = config.database
    plans = plan_files(manifest, small, named_files(config))
    from_archive = args.config if brought else None
    with alone(database):
        # Before a long reading: it would be refused at its end.
        pass
    if args.dry_run:
        _verify(args.archive)
        _tell_files(plans, brought=from_archive)
        write_line("nothing was changed")
        return 0
    who = operator()
    detail = f"archive of {time_text(manifest.made_ms)}, {manifest.contents.checkins} check-ins"
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        staged = stage(args.archive, database=database)
        asyncio.run(bring_up(staged, audit=who.entry("hub.restore", detail)))
        write_files(plans, owner=database.parent)
        aside = put_back(staged, database, now_ms=who.now_ms)
    finally:
        unstage(database)
    _tell(manifest)
    _tell_files(plans, brought=from_archive)
    write_line(f"restored     {database}")
    if aside is not None:
        write_line(f"kept         {aside}: what was there; it holds personal data, remove it when the hub runs again")
    _tell_missing(manifest)
    return 0


def _config_for(path: Path, data: bytes, *, dry_run: bool) -> tuple[HubConfig, bool]:
    """The configuration that is there, or else the archive's, which is then put there; and whether it is that one."""
    if path.exists():
        return load(path), False
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    if not dry_run:
        write_missing(path, data, mode=0o644, owner=None)
        return load(path), True
    # Its relative paths count from its folder.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".hub.toml.") as file:
        file.write(data)
        file.flush()
        return load(Path(file.name)), True


def _tell_files(plans: tuple[FilePlan, ...], *, brought: Path | None) -> None:
    if brought is not None:
        write_line(f"from archive {brought}")
    for plan in plans:
        if plan.missing:
            write_line(f"from archive {plan.path}")
        elif plan.differs:
            write_line(f"stays        {plan.path}: other than in the archive ({plan.name})")


def _tell_missing(manifest: Manifest) -> None:
    since = time_text(manifest.made_ms)
    for line in (
        f"Since {since} the hub has forgotten everything:",
        "- check-ins: what it had signed for since, the gates no longer hold. What of that it had forwarded lies with",
        "  the platform; the rest is lost, and gaps are noted (`gatelight-hub status`). What gates hold they send.",
        "- revocations, new devices, places, policies, accounts: see the audit log's last line, and enter them again.",
        "  Revoke again first: `gatelight-hub device revoke`.",
    ):
        write_line(line)
