"""Lines out at once, and the last of them kept: without anything about anybody."""

import io
import json
import logging
import threading

import pytest

from device.logs import LINES_KEPT, Log, stdout_log


@pytest.fixture
def log():
    return Log(io.StringIO(), now_ms=lambda: 7)


def kept(log, lines=LINES_KEPT):
    return [json.loads(line) for line in log.last(lines)]


def test_a_log_line_is_one_json_object():
    out = io.StringIO()
    Log(out).event("scan", seq=1, text="a\nb")
    assert json.loads(out.getvalue()) == {"event": "scan", "seq": 1, "text": "a\nb"}
    assert out.getvalue().count("\n") == 1


def test_on_a_terminal_it_is_for_people():
    out = io.StringIO()
    out.isatty = lambda: True
    Log(out).event("scan", seq=1)
    assert out.getvalue() == "scan seq=1\n"


def test_what_modules_log_comes_out_in_the_same_form(capsys):
    before = logging.root.handlers[:]
    try:
        log = stdout_log()
        logging.getLogger("device.x").warning("odd: %s", "张三")
        logging.getLogger("paho").warning("what 张三 said")
    finally:
        logging.root.handlers[:] = before
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"event": "log", "level": "warning", "module": "device.x", "text": "odd: 张三"}
    assert second["text"] == "what 张三 said"
    for line in kept(log):
        line.pop("t")
    assert [line.get("text") for line in kept(log)] == ["odd: %s", None]


def test_what_is_kept_is_numbers_ids_and_nothing_that_came_from_outside(log):
    log.event(
        "command",
        id="00ff",
        name="open_once",
        ok=True,
        took_ms=1.5,
        reason="bad_signature",
        error="no card 11010119900307109X",
        subject=b"bytes",
        damage={"path": "/x"},
        text="张三",
        place="张三的店",
        gate="a gate with spaces",
    )
    assert kept(log) == [
        {
            "t": 7,
            "event": "command",
            "id": "00ff",
            "name": "open_once",
            "ok": True,
            "took_ms": 1.5,
            "reason": "bad_signature",
        }
    ]


def test_no_scan_is_kept(log):
    log.event("scan", seq=1, colour="red", at_ms=1)
    assert log.last(10) == []


def test_the_newest_lines_are_kept(log):
    for number in range(LINES_KEPT + 20):
        log.event("tick", number=number)
    numbers = [line["number"] for line in kept(log, 10_000)]
    assert numbers == list(range(20, LINES_KEPT + 20))
    assert [line["number"] for line in kept(log, 2)] == numbers[-2:]
    assert log.last(0) == []


def test_many_threads_may_log_while_somebody_reads(log):
    def write():
        for number in range(300):
            log.event("tick", number=number)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert len(log.last(LINES_KEPT)) <= LINES_KEPT
    assert len(log.last(LINES_KEPT)) == LINES_KEPT
