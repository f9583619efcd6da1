"""Releases to update to: small ones, that a shell could start."""

import gzip
import io
import json
import tarfile

import pytest

from protocol.release import version_of


def label(release, platform="sandbox"):
    return json.dumps({"release": release, "version": version_of(release), "platform": platform}).encode()


def entries(release, platform="sandbox", **more):
    """name -> content; None for a folder."""
    return {
        "bin": None,
        "bin/gatelight-device": b"#!/bin/sh\n",
        "lib": None,
        "lib/device.py": b"x = 1\n",
        "bundle.json": label(release, platform),
        **more,
    }


def entry(name, data=b"", **given):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data or b""), 0o755
    if data is None:
        info.type = tarfile.DIRTYPE
    for key, value in given.items():
        setattr(info, key, value)
    return info, data or b""


def archive(pairs):
    plain = io.BytesIO()
    with tarfile.open(None, "w", plain) as tar:
        for info, data in pairs:
            tar.addfile(info, io.BytesIO(data))
    return io.BytesIO(gzip.compress(plain.getvalue(), 1, mtime=0))


def bundle(release, platform="sandbox", **more):
    return archive(entry(name, data) for name, data in entries(release, platform, **more).items())


class Lines(io.StringIO):
    """What was logged."""

    def named(self, event):
        return [each for each in map(json.loads, self.getvalue().splitlines()) if each["event"] == event]


@pytest.fixture
def lines():
    return Lines()
