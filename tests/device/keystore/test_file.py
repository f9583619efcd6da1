"""Signing keys as files."""

import secrets

import pytest

from device.keystore.file import FileKeyStore
from device.keystore.ports import KeyStoreError, NoSuchKeyError, make_or_load


@pytest.fixture
def store(tmp_path):
    return FileKeyStore(tmp_path / "keys", random_bytes=secrets.token_bytes)


def test_a_key_that_was_made_is_found_again_and_signs(store):
    made = store.make("signing-1")
    found = store.load("signing-1")
    assert found.public == made.public
    made.public.verify(b"message", found.sign(b"message"))
    assert store.make("signing-2").public != made.public


def test_a_key_is_readable_by_nobody_else(store, tmp_path):
    store.make("a")
    assert (tmp_path / "keys" / "a.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    (tmp_path / "keys" / "a.key").chmod(0o640)
    with pytest.raises(KeyStoreError, match="chmod 600"):
        store.load("a")


def test_a_name_is_taken_once(store):
    first = store.make("a")
    with pytest.raises(KeyStoreError, match="a key of this name"):
        store.make("a")
    assert store.load("a").public == first.public
    assert make_or_load(store, "a").public == first.public


def test_an_erased_key_is_gone_from_the_disk_too(store, tmp_path):
    store.make("a")
    path, other = tmp_path / "keys" / "a.key", tmp_path / "second-name"
    other.hardlink_to(path)
    store.erase("a")
    assert set(other.read_bytes()) == {0}
    with pytest.raises(NoSuchKeyError):
        store.load("a")
    store.erase("a")
    assert make_or_load(store, "a")


@pytest.mark.parametrize("data", [b"", b"ed25519 ", b"\xff" * 90, b"x" * 9000])
def test_a_file_that_holds_no_key_is_named(store, tmp_path, data):
    store.make("a")
    (tmp_path / "keys" / "a.key").write_bytes(data)
    with pytest.raises(KeyStoreError, match=r"a\.key"):
        store.load("a")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "A", "a.key", "x" * 65, "a\n", "ａ"])
def test_a_name_is_no_path(store, name):
    for use in (store.make, store.load, store.erase):
        with pytest.raises(ValueError, match="not the name of a key"):
            use(name)


def test_a_disk_that_does_not_allow_it_is_told(tmp_path):
    (tmp_path / "keys").write_bytes(b"a file where the folder should be")
    store = FileKeyStore(tmp_path / "keys", random_bytes=secrets.token_bytes)
    for use in (store.make, store.load, store.erase):
        with pytest.raises(KeyStoreError):
            use("a")


@pytest.mark.slow
def test_a_power_cut_leaves_a_whole_key_or_none(cuts):
    outcomes = set()
    for cut in cuts():
        store = FileKeyStore(cut.root / "keys", random_bytes=secrets.token_bytes)
        with cut:
            store.make("a")
        for path in (cut.root / "keys").glob("*.key"):
            path.chmod(0o600)  # `Cut` puts files back without their modes.
        try:
            store.load("a")
            outcomes.add(True)
        except NoSuchKeyError:
            outcomes.add(False)
            assert not cut.completed
            store.make("a")
    assert outcomes == {True, False}
