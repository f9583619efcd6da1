"""A Debian in a folder with systemd, Mosquitto and the two virtual environments: made once, and then only read.

The environments run this checkout with the packages of its own `.venv`, which are bound beside it when it boots.
"""

import hashlib
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.hil.mirror import ROOT, WORK, MirrorError, bootstrap, claimed, run

FOLDER: Final = WORK / "systemd"
SUITE: Final = "bookworm"
PYTHON: Final = (3, 11)
"""That of the suite: packages of another one's do not load there."""

INCLUDE: Final = ("systemd", "systemd-sysv", "dbus", "python3", "libzbar0", "libseccomp2", "mosquitto")
CHECKOUT: Final = "/srv/gatelight"
PACKAGES: Final = "/srv/packages"
BINDS: Final = {CHECKOUT: ROOT, PACKAGES: Path(sysconfig.get_path("purelib"))}
"""What is bound into the booted machine, for reading only."""

PROGRAMS: Final = {
    "/opt/gatelight": {"gatelight-device": "device.cli", "gatelight-update": "device.update.cli"},
    "/opt/gatelight-hub": {"gatelight-hub": "hub.cli"},
}
"""The virtual environments, each with its programs and the modules that hold them."""


@contextmanager
def fresh_root() -> Iterator[Path]:
    """A root nobody has written to yet, for as long as this lasts; nobody else has one meanwhile. Needs root.

    Raises:
        MirrorError: it cannot be made.
    """
    with claimed(FOLDER):
        made, work = _made(), FOLDER / "run"
        _discard(work)
        for name in ("root", "upper", "work"):
            (work / name).mkdir(parents=True)
        layers = f"lowerdir={made},upperdir={work / 'upper'},workdir={work / 'work'}"
        run(["mount", "-t", "overlay", "gatelight-hil", "-o", layers, str(work / "root")])
        try:
            yield work / "root"
        finally:
            _discard(work)


def _discard(work: Path) -> None:
    root = work / "root"
    if root.is_mount():
        run(["umount", str(root)])
    if work.exists():
        shutil.rmtree(work)


def _made() -> Path:
    if sys.version_info[:2] != PYTHON:
        raise MirrorError(f"{SUITE} has Python {'.'.join(map(str, PYTHON))}, this environment {sys.version.split()[0]}")
    recipe = repr((SUITE, INCLUDE, PROGRAMS, Path(__file__).read_bytes()))
    made = FOLDER / f"root-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if made.is_dir():
        return made
    for older in FOLDER.glob("root-*"):
        shutil.rmtree(older)
    begun = FOLDER / "root-begun"
    bootstrap(begun, suite=SUITE, include=INCLUDE)
    for folder, programs in PROGRAMS.items():
        run(["chroot", str(begun), "python3", "-m", "venv", "--without-pip", folder])
        home = begun / folder[1:]
        paths = next(home.glob("lib/python3*/site-packages")) / "gatelight.pth"
        paths.write_text(f"{CHECKOUT}\n{PACKAGES}\n", encoding="utf-8")
        for name, module in programs.items():
            # As pip writes it for the entry in pyproject.toml.
            program = home / "bin" / name
            lines = (f"#!{folder}/bin/python3", "import sys", f"from {module} import main", "sys.exit(main())")
            program.write_text("\n".join(lines) + "\n", encoding="utf-8")
            program.chmod(0o755)
    begun.rename(made)
    return made
