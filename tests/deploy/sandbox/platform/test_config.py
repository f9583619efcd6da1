import os

import pytest

from deploy.sandbox.configs import toml
from deploy.sandbox.pki import make_signing_key
from deploy.sandbox.platform.config import PlatformConfigError, read_config


def document(tmp_path):
    key = make_signing_key(tmp_path, name=os.urandom(4).hex()).public
    return {
        "authority": tmp_path,
        "database": tmp_path / "db",
        "api": {"host": "127.0.0.1", "port": 1, "ca": "ca", "cert": "cert", "key": "key"},
        "pages": {"host": "127.0.0.1", "port": 2},
        "hubs": {"00" * 8: key},
    }


def written(tmp_path, document):
    (tmp_path / "platform.toml").write_text(toml(document))
    return tmp_path / "platform.toml"


def test_a_right_file_is_read(tmp_path):
    config = read_config(written(tmp_path, document(tmp_path)))
    assert config.api.port == 1
    assert set(config.hubs) == {bytes(8)}


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("surprise",), "x", "surprise"),
        (("api", "surprise"), "x", "surprise"),
        (("pages", "port"), "many", "many"),
        (("hubs",), {"zz": "k"}, "hex"),
        (("hubs",), {"00" * 8: "/nowhere"}, "nowhere"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path, path, value, what):
    spoilt = document(tmp_path)
    place = spoilt
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(PlatformConfigError, match=what):
        read_config(written(tmp_path, spoilt))


def test_a_missing_table_is_named(tmp_path):
    spoilt = document(tmp_path)
    del spoilt["pages"]
    with pytest.raises(PlatformConfigError, match="pages is missing"):
        read_config(written(tmp_path, spoilt))
