import sqlite3

import pytest

from hub.store import audit_chain
from hub.store.errors import SchemaTooNewError, StoreCorruptError, StoreOpenError
from hub.store.migrate import migrate, migrations

SECOND = "CREATE TABLE extra (n INTEGER);\nCREATE TRIGGER t AFTER INSERT ON extra\nBEGIN\n SELECT 1; SELECT 2;\nEND;\n"
STEPS = migrations()


def look(path, sql):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def change(path, *statements):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.create_function(audit_chain.FUNCTION, audit_chain.ARGUMENTS, audit_chain.link, deterministic=True)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "hub.db"
    path.touch()
    migrate(path, steps=STEPS, check=True)
    return path


def test_an_empty_file_becomes_a_store(path):
    assert look(path, "PRAGMA user_version") == [(len(STEPS),)]
    assert look(path, "PRAGMA journal_mode") == [("wal",)]
    assert look(path, "SELECT count(*) FROM checkin") == [(0,)]


def test_a_second_run_changes_nothing(path):
    before = path.read_bytes()
    migrate(path, steps=STEPS, check=True)
    assert path.read_bytes() == before


def test_later_steps_run_once_and_keep_what_is_there(path):
    change(path, "INSERT INTO place VALUES ('mall', '商场', '', '')")
    for _ in range(2):
        migrate(path, steps=(*STEPS, SECOND), check=True)
    assert look(path, "SELECT id FROM place") == [("mall",)]
    assert look(path, "PRAGMA user_version") == [(len(STEPS) + 1,)]
    assert look(path, "SELECT count(*) FROM extra") == [(0,)]


def test_a_newer_schema_is_refused_with_both_versions_and_untouched(path):
    change(path, "PRAGMA user_version = 97")
    before = path.read_bytes()
    with pytest.raises(SchemaTooNewError, match=rf"version 97.* version {len(STEPS)}\b"):
        migrate(path, steps=STEPS, check=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("broken", ["CREATE TABLE place (n);\n", "NONSENSE;\n", "INSERT INTO gate VALUES (1);\n"])
def test_a_failing_step_undoes_all_of_them(path, broken):
    before = path.read_bytes()
    with pytest.raises(StoreOpenError, match=f"step {len(STEPS) + 2} failed"):
        migrate(path, steps=(*STEPS, SECOND, broken), check=True)
    assert path.read_bytes() == before


def test_a_failing_first_step_leaves_an_empty_file_empty(tmp_path):
    path = tmp_path / "hub.db"
    path.touch()
    with pytest.raises(StoreOpenError):
        migrate(path, steps=(*STEPS, "NONSENSE;\n"), check=True)
    assert path.read_bytes() == b""


def test_what_is_no_database_is_refused(tmp_path):
    path = tmp_path / "hub.db"
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(StoreCorruptError, match="no database"):
        migrate(path, steps=STEPS, check=True)


def test_another_programs_database_is_refused_and_untouched(tmp_path):
    path = tmp_path / "other.db"
    change(path, "CREATE TABLE theirs (n)")
    before = path.read_bytes()
    with pytest.raises(StoreCorruptError, match="another program"):
        migrate(path, steps=STEPS, check=True)
    assert path.read_bytes() == before


def test_damage_is_found(path):
    change(
        path,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
        " INSERT INTO audit SELECT i, i, 'who', 'action', hex(zeroblob(100)) FROM n",
    )
    data = bytearray(path.read_bytes())
    middle = len(data) - 5 * 4096
    data[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    with pytest.raises(StoreCorruptError, match="damaged"):
        migrate(path, steps=STEPS, check=True)


def test_every_truncation_is_found(path):
    data = path.read_bytes()
    for length in (100, *range(4096, len(data), 4096)):
        path.write_bytes(data[:length])
        with pytest.raises(StoreOpenError):
            migrate(path, steps=STEPS, check=True)
