import errno
import os
import stat

import pytest

from device import durable
from device.durable import (
    append_synced,
    cut_off,
    erase,
    make_folder,
    remove_tree,
    set_aside,
    switch,
    write_atomic,
)


@pytest.mark.parametrize("old", [None, b"", b"old" * 1000])
def test_a_file_is_the_old_one_or_the_new_one(cuts, old):
    for cut in cuts():
        path = cut.root / "file"
        if old is not None:
            path.write_bytes(old)
        with cut:
            write_atomic(path, b"new" * 2000)
        found = path.read_bytes() if path.exists() else None
        assert found == b"new" * 2000 if cut.completed else found in {old, b"new" * 2000}
        write_atomic(path, b"again")
        assert path.read_bytes() == b"again"
        assert [entry.name for entry in cut.root.iterdir()] == ["file"]


def test_a_file_is_for_its_owner_only_even_where_a_cut_left_another_mode(tmp_path):
    path = tmp_path / "key"
    (tmp_path / ".key.new").write_bytes(b"left behind")
    (tmp_path / ".key.new").chmod(0o666)
    write_atomic(path, b"secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_atomic(path, b"public", mode=0o644)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_link_in_the_way_is_not_written_through(tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    (tmp_path / ".file.new").symlink_to(other)
    write_atomic(tmp_path / "file", b"data")
    assert other.read_bytes() == b"mine"


class FullDisk:
    """A FAKE of a disk with room for some bytes."""

    def __init__(self, room, failing="write"):
        self.room, self.failing = room, failing

    def __getattr__(self, name):
        return self._fail if name == self.failing and name != "write" else getattr(os, name)

    def _fail(self, *_):
        raise OSError(errno.EIO, "injected")

    def write(self, descriptor, data):
        if self.failing == "write" and self.room == 0:
            raise OSError(errno.ENOSPC, "injected")
        written = os.write(descriptor, data[: self.room] if self.failing == "write" else data)
        self.room -= written
        return written


@pytest.mark.parametrize("disk", [FullDisk(3), FullDisk(0, "fsync"), FullDisk(0, "replace")])
def test_a_full_disk_keeps_the_old_file_and_no_half_of_a_new_one(tmp_path, monkeypatch, disk):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(durable, "os", disk)
    with pytest.raises(OSError, match="injected"):
        write_atomic(path, b"newer")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("disk", [FullDisk(3), FullDisk(0, "fdatasync")])
def test_what_could_not_be_added_whole_is_not_added(tmp_path, monkeypatch, disk):
    path = tmp_path / "log"
    append_synced(path, b"first")
    monkeypatch.setattr(durable, "os", disk)
    with pytest.raises(OSError, match="injected"):
        append_synced(path, b"second")
    monkeypatch.undo()
    assert path.read_bytes() == b"first"


def test_a_disk_that_writes_little_at_a_time_gets_all_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(durable, "os", short := FullDisk(10**6))
    short.write = lambda descriptor, data: os.write(descriptor, data[:7])
    write_atomic(tmp_path / "file", bytes(range(100)))
    assert (tmp_path / "file").read_bytes() == bytes(range(100))


@pytest.mark.parametrize("old", [None, b"old"])
def test_what_was_added_is_there_and_what_was_there_stays(cuts, old):
    for cut in cuts():
        path = cut.root / "log"
        if old is not None:
            path.write_bytes(old)
        with cut:
            append_synced(path, b"-more")
        found = path.read_bytes() if path.exists() else b""
        whole = (old or b"") + b"-more"
        assert found == whole if cut.completed else (whole.startswith(found) and len(found) >= len(old or b""))


def test_a_tail_is_cut_off(cuts):
    for cut in cuts():
        path = cut.root / "log"
        path.write_bytes(b"good and bad")
        with cut:
            cut_off(path, 4)
        assert path.read_bytes() in ({b"good"} if cut.completed else {b"good", b"good and bad"})


def test_a_damaged_file_is_kept_under_another_name(cuts):
    for cut in cuts():
        path, bad = cut.root / "file", cut.root / "file.bad"
        path.write_bytes(b"damaged")
        bad.write_bytes(b"older")
        with cut:
            set_aside(path)
        assert not (cut.completed and path.exists())
        set_aside(path)
        assert not path.exists()
        assert bad.read_bytes() == b"damaged"


def test_a_link_points_to_the_old_or_the_new(cuts):
    for cut in cuts():
        (cut.root / "current").symlink_to("1")
        with cut:
            switch(cut.root / "current", "2")
        assert str((cut.root / "current").readlink()) in ({"2"} if cut.completed else {"1", "2"})
        switch(cut.root / "current", "3")
        assert str((cut.root / "current").readlink()) == "3"


def test_a_folder_is_made_with_those_above_it(cuts):
    for cut in cuts():
        with cut:
            make_folder(cut.root / "a" / "b")
        assert not cut.completed or (cut.root / "a" / "b").is_dir()
        make_folder(cut.root / "a" / "b")
        assert (cut.root / "a" / "b").is_dir()
        assert not cut.completed or stat.S_IMODE((cut.root / "a").stat().st_mode) == 0o700


def test_a_file_cannot_be_taken_for_a_folder(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OSError, match="a"):
        make_folder(tmp_path / "a" / "b")


def test_an_erased_file_is_gone_and_nothing_of_it_comes_back_half(cuts):
    for cut in cuts():
        path = cut.root / "key"
        path.write_bytes(b"secret" * 30_000)
        with cut:
            erase(path)
        assert not (cut.completed and path.exists())
        erase(path)
        assert list(cut.root.iterdir()) == []


def test_a_file_is_overwritten_before_it_is_unlinked(tmp_path):
    path, other = tmp_path / "key", tmp_path / "same inode"
    path.write_bytes(b"secret" * 30_000)
    os.link(path, other)
    erase(path)
    assert other.read_bytes() == bytes(180_000)


def test_erasing_follows_no_link_and_opens_no_pipe(tmp_path):
    (tmp_path / "other").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("other")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "absent"):
        erase(tmp_path / name)
    assert [entry.name for entry in tmp_path.iterdir()] == ["other"]
    assert (tmp_path / "other").read_bytes() == b"mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_tree_is_removed_in_as_many_goes_as_it_takes(cuts, overwrite):
    for cut in cuts():
        keep = cut.root / "keep"
        keep.mkdir()
        (keep / "file").write_bytes(b"mine")
        tree = cut.root / "tree"
        (tree / "deep").mkdir(parents=True)
        (tree / "deep" / "file").write_bytes(b"gone")
        (tree / "link").symlink_to(keep)
        with cut:
            remove_tree(tree, overwrite=overwrite)
        assert not (cut.completed and tree.exists())
        remove_tree(tree, overwrite=overwrite)
        assert not tree.exists()
        assert (keep / "file").read_bytes() == b"mine"


def test_a_tree_may_be_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    remove_tree(tmp_path / "file")
    remove_tree(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_the_cuts_find_a_file_that_was_not_synced(cuts):
    """What the cuts are for: without the sync, the name is the new one's and its content is gone."""
    seen = set()
    for cut in cuts():
        path = cut.root / "file"
        path.write_bytes(b"old")
        with cut:
            descriptor = durable.os.open(cut.root / "new", os.O_WRONLY | os.O_CREAT)
            try:
                durable.os.write(descriptor, b"new")
            finally:
                os.close(descriptor)
            durable.os.replace(cut.root / "new", path)
            durable.sync_folder(cut.root)
        seen.add(path.read_bytes())
    assert seen == {b"old", b"new", b""}
