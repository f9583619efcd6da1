import sqlite3
from contextlib import closing

import pytest

from device.model import StorageError
from device.send.audit import audit_file
from protocol.keys import Ed25519SigningKey


@pytest.fixture
def tampered(open_spool, build, path):
    """Five check-ins, of which two are forgotten; gives a function that changes the file and audits it."""
    spool = open_spool()
    appended = [spool.append(build) for _ in range(5)]
    spool.forget(2, appended[1].hash)

    def tamper(sql, *values):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(sql, values)
        return audit_file(path).faults

    return tamper


def test_a_sound_chain_with_its_signatures(open_spool, build, path, device_key):
    spool = open_spool()
    for _ in range(3):
        spool.append(build)
    audit = audit_file(path, key=device_key.public)
    assert (audit.epoch, audit.depth, audit.oldest_seq, audit.newest_seq, audit.faults) == (b"epoch-01", 3, 1, 3, ())


def test_another_key_is_not_ours(open_spool, build, path):
    open_spool().append(build)
    (fault,) = audit_file(path, key=Ed25519SigningKey(bytes(32)).public).faults
    assert "signature" in fault


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DELETE FROM sealed WHERE seq = 4", "5 follows where 4 was due"),
        ("DELETE FROM sealed WHERE seq = 3", "4: it does not continue"),
        ("DELETE FROM sealed WHERE seq = 5", "the chain ends at 4"),
        ("UPDATE sealed SET data = x'00' WHERE seq = 4", "4: check-in"),
        (
            "UPDATE sealed SET data = (SELECT data FROM sealed WHERE seq = 3) WHERE seq = 4",
            "names another epoch or number",
        ),
        ("UPDATE meta SET epoch = x'0000000000000000'", "names another epoch or number"),
        ("UPDATE meta SET receipted_hash = zeroblob(32)", "3: it does not continue"),
        ("UPDATE meta SET head_hash = zeroblob(32)", "the chain ends at 5"),
    ],
)
def test_what_was_tampered_with_shows(tampered, sql, expected):
    assert any(expected in fault for fault in tampered(sql))


def test_no_file(path):
    with pytest.raises(StorageError):
        audit_file(path)
    assert not path.exists()


def test_not_a_spool(path):
    path.write_bytes(b"an advert" * 1000)
    with pytest.raises(StorageError):
        audit_file(path)
