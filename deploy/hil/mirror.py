"""Debian's packages for another release or processor than this machine's, without changing this machine's apt.

The mirror's address is read from this machine's own apt sources when it is needed, and written down nowhere that is
kept: a site with a mirror of its own uses that one.
"""

import fcntl
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
WORK: Final = ROOT / ".hil"
"""Where everything that is fetched or built lies; can be deleted at any time."""

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCES: Final = Path("/etc/apt")
_ANSWER_S: Final = 10
_ARCHIVE: Final = re.compile(r"https?://\S+/debian/?$")


class MirrorError(Exception):
    """The mirror cannot be found or does not answer, or a package cannot be had from it."""


def address(sources: Path = _SOURCES) -> str:
    """The archive that this machine's apt installs from, without a slash at its end.

    Raises:
        MirrorError: its sources name none.
    """
    lists = [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*"))]
    for path in lists:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            continue
        for line in text.splitlines():
            words = line.split()
            if line.startswith("#") or not words or words[0] not in {"deb", "URIs:"}:
                continue
            found = next((word for word in words[1:] if _ARCHIVE.match(word)), None)
            if found is not None:
                return found.rstrip("/")
    raise MirrorError(f"no archive of Debian in the sources under {sources}")


def unreachable() -> str | None:
    """Why the mirror cannot be used now; None when it answers. The one reason for which a stage may be left out."""
    try:
        url = f"{address()}/dists/bookworm/Release"
        with urllib.request.urlopen(url, timeout=_ANSWER_S) as answer:  # noqa: S310 - http or https, by `address`
            answer.read(1)
    except (MirrorError, urllib.error.URLError, OSError) as error:
        return f"the package mirror does not answer: {error}"
    return None


@contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """`folder`, made, and nobody else's in any process until the end: two stages may need the same thing built."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".claimed").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield folder


class Apt:
    """Packages of one release for one processor, with lists and a cache of its own in `folder`.

    Args:
        folder: what it may fill.
        suite: the release, as `bookworm`.
        arch: the processor, as `arm64`.
    """

    def __init__(self, folder: Path, *, suite: str, arch: str) -> None:
        self._folder, self._suite, self._arch = folder, suite, arch

    def update(self) -> None:
        """Fetch the lists of packages.

        Raises:
            MirrorError: they cannot be had.
        """
        for name in ("lists/partial", "cache/archives/partial", "state"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "state/status").touch()
        signed = f"signed-by={KEYRING}"
        self._list.write_text(f"deb [arch={self._arch} {signed}] {address()} {self._suite} main\n", encoding="utf-8")
        self._run("apt-get", "update", "-q")

    def newest(self, package: str) -> str:
        """The package that a package without content of its own stands for: `linux-image-arm64` -> its kernel.

        Raises:
            MirrorError: there is none.
        """
        out = self._run("apt-cache", "depends", "--no-recommends", "--no-suggests", package)
        found = re.search(r"Depends: (\S+)", out)
        if found is None:
            raise MirrorError(f"{package} of {self._suite} stands for nothing")
        return found.group(1)

    def download(self, packages: Sequence[str], *, into: Path) -> list[Path]:
        """Fetch packages, verified by apt, without what they depend on.

        Raises:
            MirrorError: one of them cannot be had.
        """
        into.mkdir(parents=True, exist_ok=True)
        self._run("apt-get", "download", "-q", *packages, cwd=into)
        return sorted(into.glob("*.deb"))

    @property
    def _list(self) -> Path:
        return self._folder / "sources.list"

    def _run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        options = {
            "APT::Architecture": self._arch,
            "APT::Architectures": self._arch,
            "Dir::Etc::sourcelist": str(self._list),
            "Dir::Etc::sourceparts": os.devnull,
            "Dir::State::lists": str(self._folder / "lists"),
            "Dir::Cache": str(self._folder / "cache"),
            "Dir::State::status": str(self._folder / "state/status"),
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        given = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return run([program, *given, *arguments], cwd=cwd)


def bootstrap(folder: Path, *, suite: str, include: Sequence[str]) -> None:
    """A minimal Debian of this machine's own processor in `folder`, which must not be there yet. Needs root.

    Raises:
        MirrorError: it cannot be made.
    """
    extra = ["--variant=minbase", f"--include={','.join(include)}", '--aptopt=Acquire::Languages "none"']
    # What nobody reads here takes half of the time.
    extra += ["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"]
    extra += ["--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=force-unsafe-io"]
    run(["mmdebstrap", *extra, suite, str(folder), address()])


def run(command: Sequence[str], *, cwd: Path | None = None) -> str:
    """What a command prints.

    Raises:
        MirrorError: it failed; with the end of what it said.
    """
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    if done.returncode:
        raise MirrorError(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
