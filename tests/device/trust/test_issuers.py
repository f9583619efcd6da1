import tracemalloc

import pytest

from device.trust.issuers import load_bundle
from protocol.errors import LimitError, ProtocolError
from protocol.keys import Ed25519SigningKey
from protocol.trust import seal_trust


def test_a_bundle_is_believed_by_its_root_only(tmp_path, world):
    path = tmp_path / "trust.cose"
    path.write_bytes(seal_trust(world.bundle(), key=world.root))
    assert load_bundle(path, root=world.root.public) == world.bundle()
    with pytest.raises(ProtocolError):
        load_bundle(path, root=Ed25519SigningKey(bytes(32)).public)


def test_a_huge_file_is_not_read_whole(tmp_path, world):
    path = tmp_path / "trust.cose"
    with path.open("wb") as file:
        file.truncate(10**8)
    tracemalloc.start()
    try:
        with pytest.raises(LimitError):
            load_bundle(path, root=world.root.public)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()
