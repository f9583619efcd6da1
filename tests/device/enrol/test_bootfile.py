"""The file of whoever writes memory cards: read into a code, or refused with its path."""

import json

import pytest

from device.enrol import bootfile
from device.enrol.errors import CodeError
from protocol.enrolment import parse_provisioning

PARTS = {"url": "https://hub.example:8443", "token": "00" * 16, "ca_hash": "11" * 32, "expires_s": 1_795_334_412}


@pytest.fixture
def read(tmp_path):
    def call(data):
        path = tmp_path / "enrol.json"
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
        return bootfile.read(path)

    return call


def test_a_code_is_given_on_as_it_stands(read):
    assert read({"code": "GLE1:ABC"}) == "GLE1:ABC"


def test_parts_become_a_code(read):
    code = parse_provisioning(read(PARTS | {"wifi": {"ssid": "gates", "psk": "correct horse"}, "place": "mall-1"}))
    assert (code.url, code.token, code.expires_s) == (PARTS["url"], bytes(16), PARTS["expires_s"])
    assert (code.wifi, code.place, code.gate) == (("gates", "correct horse"), "mall-1", None)


def test_no_file_is_no_code(tmp_path):
    assert bootfile.read(tmp_path / "enrol.json") is None


@pytest.mark.parametrize("expires_s", [-1, 2**63, 2**64, 10**30, 10**400, 1.5, "1", None, True])
def test_a_moment_that_there_is_not_is_refused(read, expires_s):
    with pytest.raises(CodeError, match=r"enrol\.json"):
        read(PARTS | {"expires_s": expires_s})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"code": 7}',
        b'{"code": "GLE1:ABC", "more": 1}',
        b'{"code": "\xff"}',
        b'{"code": "\xed\xa0\x80"}',
        b'{"code": "\\ud800"}',
        b'{"code": ' + b"[" * 20_000,
        b'{"expires_s": ' + b"1" * 5000 + b"}",
        b" " * (bootfile.FILE_BYTES + 1),
    ],
)
def test_hostile_files_are_refused(read, data):
    with pytest.raises(CodeError, match=r"enrol\.json"):
        read(data)
