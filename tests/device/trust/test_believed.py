import pytest

from device import durable
from device.trust.believed import Believed


def test_what_is_written_is_read_and_what_is_too_long_is_seen_to_be(tmp_path):
    believed = Believed(tmp_path / "a" / "believed")
    path = believed.folder / "file"
    assert believed.read(path, limit=4) is None
    assert believed.write(path, b"12345")
    assert believed.read(path, limit=5) == b"12345"
    assert believed.read(path, limit=3) == b"1234"
    assert believed.failures == 0


def test_a_disk_that_fails_is_counted_and_said_and_stops_nothing(tmp_path, monkeypatch, caplog):
    def broken(*_args, **_more):
        raise OSError(5, "Input/output error")

    believed = Believed(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("write_atomic", "set_aside", "make_folder"):
        monkeypatch.setattr(durable, name, broken)
    assert not believed.write(tmp_path / "file", b"data")
    assert not believed.make_folder(tmp_path / "more")
    believed.set_aside(tmp_path / "folder", ValueError("nonsense"))
    # A folder in the place of a file cannot be read either.
    assert believed.read(tmp_path / "folder", limit=5) is None
    assert believed.failures == 4
    assert caplog.text.count("Input/output error") == 3


@pytest.mark.parametrize("there", [b"file", None])
def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path, there):
    place = tmp_path / "believed"
    if there is not None:
        place.write_bytes(there)
    believed = Believed(place / "deeper" if there else place)
    assert believed.failures == (there is not None)
    assert believed.read(believed.folder / "file", limit=5) is None
