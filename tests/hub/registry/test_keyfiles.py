import stat

import pytest

from hub.registry.checks import RegistryError
from hub.registry.keyfiles import create_signing_key, read_key_file
from protocol.keys import Ed25519SigningKey, decode_key


def test_a_new_key_is_secret_and_its_public_half_is_beside_it(tmp_path):
    path = tmp_path / "hub.key"
    public = create_signing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kind, seed = path.read_text().split()
    assert kind == "ed25519"
    assert Ed25519SigningKey(bytes.fromhex(seed)).public == public
    assert decode_key(read_key_file(tmp_path / "hub.key.pub")) == public


def test_a_key_is_never_overwritten(tmp_path):
    path = tmp_path / "hub.key"
    create_signing_key(path)
    before = path.read_bytes()
    with pytest.raises(RegistryError, match="exists"):
        create_signing_key(path)
    assert path.read_bytes() == before


def test_key_files_that_cannot_be_one(tmp_path):
    with pytest.raises(RegistryError, match="No such file"):
        read_key_file(tmp_path / "missing")
    (tmp_path / "large").write_bytes(bytes(5000))
    with pytest.raises(RegistryError, match="no key is that long"):
        read_key_file(tmp_path / "large")
