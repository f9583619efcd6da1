import json
import logging

import pytest

from hub.logs import JsonFormatter, log_as_json


@pytest.fixture
def _restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_restored")
def test_one_line_of_json_with_the_fields_that_were_given(capsys):
    log_as_json()
    logging.getLogger("x").info("gap", extra={"device": "ab", "from_seq": 3, "what": "two\nlines"})
    (line,) = capsys.readouterr().out.splitlines()
    fields = json.loads(line)
    assert fields.pop("at_ms") > 0
    assert fields == {"level": "info", "event": "gap", "device": "ab", "from_seq": 3, "what": "two\nlines"}


def test_a_traceback_is_one_field():
    try:
        int("no")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "f", 1, "task_ended", (), (ValueError, error, error.__traceback__)
        )
    assert "ValueError: invalid" in json.loads(JsonFormatter().format(record))["trace"]
