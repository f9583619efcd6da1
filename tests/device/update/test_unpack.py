"""A bundle is signed, and still may be wrong: whatever it holds, nothing lands outside of its folder."""

import gzip
import io
import os
import stat
import struct
import tarfile

import pytest

from device.update import unpack as module
from device.update.errors import UpdateError
from device.update.unpack import SPARE_BYTES, unpack
from protocol.health import UpdateFailure
from tests.device.update.conftest import archive, bundle, entries, entry, label


def unpacked(data, into, **given):
    return unpack(data, into, **{"release": 2000, "platform": "sandbox"} | given)


def refusal(data, into, **given):
    with pytest.raises(UpdateError) as caught:
        unpacked(data, into, **given)
    assert caught.value.failure is UpdateFailure.UNFIT
    assert sorted(path.name for path in into.parent.iterdir()) in ([], [into.name])
    return str(caught.value)


def with_entry(info, data=b""):
    pairs = [entry(name, content) for name, content in entries(2000).items()]
    return archive([*pairs, (info, data)])


def test_a_release_lies_in_its_folder(tmp_path):
    told = unpacked(bundle(2000), tmp_path / "a.new")
    assert (told.release, told.version, told.platform) == (2000, "0.2.0", "sandbox")
    assert (tmp_path / "a.new" / "lib" / "device.py").read_bytes() == b"x = 1\n"
    assert os.access(tmp_path / "a.new" / "bin" / "gatelight-device", os.X_OK)


@pytest.mark.parametrize("mode", [0o4755, 0o7777, 0o777])
def test_modes_are_ours(tmp_path, mode):
    unpacked(with_entry(*entry("lib/tool", b"x", mode=mode)), tmp_path / "a.new")
    unpacked(with_entry(*entry("lib/data", b"x", mode=0o666)), tmp_path / "b.new")
    assert stat.S_IMODE((tmp_path / "a.new" / "lib" / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "b.new" / "lib" / "data").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../out", "lib/../../out", "lib/..", "..", "lib/a\nb", "lib/\x01", "lib/" + "x" * 201,
        "l/" * 121 + "x", "lib/名",
    ],
)  # fmt: skip
def test_paths_that_lead_elsewhere_or_are_odd_are_refused(tmp_path, name):
    assert "is no path of a release" in refusal(with_entry(*entry(name, b"x")), tmp_path / "a.new")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_links_and_devices_are_refused(tmp_path, kind):
    info, _ = entry("lib/odd", type=kind, linkname="device.py")
    said = refusal(with_entry(info, bytes(512) if kind == tarfile.GNUTYPE_SPARSE else b""), tmp_path / "a.new")
    assert "neither file nor folder" in said or "no archive" in said


@pytest.mark.parametrize("twice", ["lib/device.py", "bundle.json", "bin", "lib/device.py/x"])
def test_what_comes_twice_is_refused(tmp_path, twice):
    assert "twice" in refusal(with_entry(*entry(twice, b"other")), tmp_path / "a.new")


def test_too_many_entries_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ENTRIES_MAX", len(entries(2000)))
    assert "over 5 entries" in refusal(with_entry(*entry("lib/more", b"x")), tmp_path / "a.new")


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "UNPACKED_BYTES", 1_000_000)
    assert "over 1000000 bytes" in refusal(with_entry(*entry("lib/bomb", bytes(2_000_000))), tmp_path / "a.new")


@pytest.mark.parametrize("size", [1 << 33, 1 << 40, (1 << 63) - 1])
def test_a_header_that_lies_about_its_size_takes_no_memory(tmp_path, size):
    info, _ = entry("lib/huge")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\x80" + struct.pack(">Q", size).rjust(11, b"\0")
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    assert refusal(io.BytesIO(gzip.compress(bytes(header) + bytes(1024))), tmp_path / "a.new")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_a_long_header_is_not_read_into_memory(tmp_path, kind):
    info, _ = entry("lib/huge", type=kind)
    info.size = 1 << 30
    assert "no archive" in refusal(io.BytesIO(gzip.compress(info.tobuf() + bytes(4096))), tmp_path / "a.new")


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1f\x8b", b"not gzip at all", gzip.compress(b"no tar" * 200), bundle(2000).getvalue()[:150], os.urandom(4096)],
    ids=["empty", "magic", "text", "no tar", "cut short", "noise"],
)  # fmt: skip
def test_what_is_no_archive_is_refused(tmp_path, data):
    refusal(io.BytesIO(data), tmp_path / "a.new")


@pytest.mark.parametrize(
    "changes",
    [
        {"bundle.json": label(3000)},
        {"bundle.json": label(2000, "trixie-aarch64")},
        {"bundle.json": b'{"release": 2000, "version": "0.9.9", "platform": "sandbox"}'},
        {"bundle.json": b"{"},
        {"bundle.json": b"[" * 5000},
        {"bundle.json": b"\xff"},
        {"bundle.json": b'{"release": 2000}' + b" " * 5000},
        {"bundle.json": None},
    ],
)
def test_another_release_than_the_one_that_was_asked_for_is_refused(tmp_path, changes):
    refusal(bundle(2000, **changes), tmp_path / "a.new")


@pytest.mark.parametrize("given", [{"mode": 0o644}, {"name": "bin/other"}])
def test_one_that_cannot_be_started_is_refused(tmp_path, given):
    pairs = [entry(name, data) for name, data in entries(2000).items() if name != "bin/gatelight-device"]
    launcher = entry(given.pop("name", "bin/gatelight-device"), b"#!/bin/sh\n", **given)
    assert "nothing to run" in refusal(archive([*pairs, launcher]), tmp_path / "a.new")


def test_the_gates_room_on_the_disk_is_left_alone(tmp_path):
    said = refusal(bundle(2000), tmp_path / "a.new", free=lambda _: SPARE_BYTES + 5)
    assert "no room" in said
