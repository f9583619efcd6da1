"""The updater's word as the gate reads it."""

import pytest

from device.update import notes
from device.update.notes import NOTE_BYTES, Failed, Status, StatusReader
from protocol.health import UpdateFailure


@pytest.fixture
def path(tmp_path):
    return tmp_path / "status.json"


def write(path, *, release, failure):
    notes.write(path, Status(release=1000, failed=Failed.of(release, failure)))


def test_nothing_is_known_without_a_file(path):
    assert StatusReader(path).failed is None


def test_the_newest_word_counts(path):
    reader = StatusReader(path)
    for release, failure in ((2000, UpdateFailure.UNTRUSTED), (2000, UpdateFailure.UNFIT), (3000, UpdateFailure.OLDER)):
        write(path, release=release, failure=failure)
        assert (reader.failed.release, reader.failed.why) == (release, failure)
    notes.write(path, Status(release=3000))
    assert reader.failed is None


def test_the_file_is_read_only_when_it_is_another_one(path, monkeypatch):
    write(path, release=2000, failure=UpdateFailure.UNFIT)
    reader = StatusReader(path)
    assert reader.failed.release == 2000
    monkeypatch.setattr(notes, "read", lambda *_: pytest.fail("read again"))
    assert reader.failed.release == 2000


@pytest.mark.parametrize(
    "data",
    [
        b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * NOTE_BYTES, b" " * (NOTE_BYTES + 1),
        b'{"failed": {"release": 0, "failure": "unfit"}}', b'{"failed": {"release": 2000, "failure": "odd"}}',
        b'{"failed": {"release": 1000000000, "failure": "unfit"}}', b'{"release": -1}',
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_nothing(path, data):
    path.write_bytes(data)
    assert StatusReader(path).failed is None


def test_what_a_newer_release_has_added_is_passed_over(path):
    path.write_bytes(b'{"failed": {"release": 2000, "failure": "unfit", "more": 1}, "other": []}')
    assert StatusReader(path).failed.release == 2000


def test_a_folder_in_the_way_says_nothing(tmp_path):
    (tmp_path / "status.json").mkdir()
    assert StatusReader(tmp_path / "status.json").failed is None
    assert notes.digest(tmp_path / "status.json") == notes.digest(tmp_path / "none")
