"""A Debian 13 in a folder, with libcamera of its own, picamera2 and the packages of a gate: made once, then only read.

Debian 13 because its libcamera is built with the virtual pipeline; Raspberry Pi OS of the same release has the same
picamera2 on a libcamera of its own.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from deploy.firmware.bundle import write_dist_info
from deploy.hil.mirror import ROOT, WORK, bootstrap, claimed, run

FOLDER: Final = WORK / "camera"
SUITE: Final = "trixie"
PYTHON: Final = "3.13"
MACHINE: Final = "x86_64-manylinux_2_40"
INCLUDE: Final = (
    *("python3", "python3-numpy", "python3-libcamera", "python3-prctl"),
    *("libarchive13t64", "libseccomp2", "libcap2"),
)
REQUIREMENTS: Final = ROOT / "deploy/device/requirements.lock"
PICAMERA2: Final = "picamera2==0.3.38"
ITS_NEEDS: Final = ("simplejpeg", "videodev2", "piexif", "av", "libarchive-c", "tqdm", "jsonschema")
"""Without python3-kms++ and PiDNG, for previews and raw pictures: `guest/absent` has names for them."""

PACKAGES: Final = "/opt/packages"
STAGE: Final = "/opt/stage"
CHECKOUT: Final = "/srv/gatelight"
GUEST: Final = Path(__file__).parent / "guest"
_TUNING: Final = "usr/share/libcamera/pipeline/virtual"


def made_root() -> Path:
    """The root. Needs root.

    Raises:
        MirrorError: it cannot be made.
    """
    files = sorted(path for path in GUEST.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    recipe = repr((SUITE, INCLUDE, PICAMERA2, ITS_NEEDS, [path.read_bytes() for path in (*files, REQUIREMENTS)]))
    recipe += Path(__file__).read_text(encoding="utf-8")
    with claimed(FOLDER):
        made = FOLDER / f"root-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
        if made.is_dir():
            return made
        for older in FOLDER.glob("root-*"):
            shutil.rmtree(older)
        begun = FOLDER / "root-begun"
        bootstrap(begun, suite=SUITE, include=INCLUDE)
        _install(begun / PACKAGES[1:])
        # Not PYTHONPATH: the decoder's child does without it.
        paths = begun / "usr/lib/python3/dist-packages/gatelight.pth"
        paths.write_text(f"{STAGE}/absent\n{CHECKOUT}\n{PACKAGES}\n", encoding="utf-8")
        shutil.copytree(GUEST, begun / STAGE[1:], ignore=shutil.ignore_patterns("__pycache__"))
        run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", f"{begun}{STAGE}/shim.so", str(GUEST / "shim.c"), "-ldl"])
        for folder in (_TUNING, CHECKOUT[1:], "srv/site"):
            (begun / folder).mkdir(parents=True)
        (begun / _TUNING / "virtual.yaml").symlink_to("/srv/site/virtual.yaml")
        begun.rename(made)
        return made


def _install(into: Path) -> None:
    """A gate's packages by their hashes, and picamera2."""
    _uv(into, "--require-hashes", "--no-deps", "--requirements", str(REQUIREMENTS))
    _uv(into, "--no-deps", PICAMERA2)
    write_dist_info(into, version("gatelight"))
    # What it needs may not bring another version of what a gate has.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as excludes:
        excludes.write("numpy\n")
        excludes.flush()
        _uv(into, "--constraints", str(REQUIREMENTS), "--excludes", excludes.name, *ITS_NEEDS)


def _uv(into: Path, *what: str) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(into)]
    run([*command, "--python-platform", MACHINE, "--python-version", PYTHON, *what])


def inside(root: Path, *, site: Path, fps: float, command: Sequence[str]) -> list[str]:
    """The command that runs `command` in the root, with the checkout and `site` bound, in a mount space of its own.

    `fps` is the camera's pace; 0 for as fast as it can.

    Nothing is to be unmounted afterwards, whatever ends it: the mounts go with the last process that sees them.
    """
    binds = {ROOT: CHECKOUT, site: "/srv/site", Path("/proc"): "/proc", Path("/dev"): "/dev", Path("/sys"): "/sys"}
    mounts = [f'mount --rbind "{source}" "{root}{target}"' for source, target in binds.items()]
    # The gate runs as root in there, and may not write into what it was made from.
    mounts.append(f'mount -o remount,bind,ro "{root}{CHECKOUT}"')
    settings = {
        "LD_PRELOAD": f"{STAGE}/shim.so",
        "LIBCAMERA_LOG_LEVELS": "*:ERROR",
        "GATELIGHT_STALL": "/srv/site/stall",
        "GATELIGHT_FPS": f"{fps:g}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
    }
    given = [f"{name}={value}" for name, value in settings.items()]
    script = " && ".join([*mounts, f'exec chroot "{root}" env -i "$@"'])
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *given, *command]
