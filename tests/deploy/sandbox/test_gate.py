"""What a gate says on its stdout and over its camera's socket."""

import asyncio
import json

import pytest

from deploy.sandbox.gate import GatePlan, SandboxGate, parse_event, scan_of

LINE = {
    "event": "scan",
    "seq": 12,
    "colour": "green",
    "verdict": "admit",
    "reason": "ok",
    "frame_to_light_ms": 14.2,
    "decode_ms": 1.1,
    "spool": 3,
    "at_ms": 1,
}


def gate_at(tmp_path):
    plan = GatePlan(
        device_id=bytes(8),
        place="p",
        place_name="P",
        gate="G1",
        direction="in",
        config=tmp_path / "device.toml",
        camera_socket=tmp_path / "camera.sock",
    )
    return SandboxGate(plan, command=["true"], log_file=tmp_path / "log")


def test_a_scan_line_is_read():
    scan = scan_of(parse_event(json.dumps(LINE)))
    assert (scan.seq, scan.colour, scan.verdict, scan.reason, scan.spool) == (12, "green", "admit", "ok", 3)
    assert scan.frame_to_light_ms == 14.2


@pytest.mark.parametrize("line", ["", "starting", "[]", '"scan"', '{"event": "uplink"}', "{", "null", '{"event": 3}'])
def test_any_other_line_is_not(line):
    event = parse_event(line)
    assert event is None or scan_of(event) is None


def test_an_answer_without_record_has_no_seq():
    assert scan_of({**LINE, "seq": None, "frame_to_light_ms": None}).seq is None


@pytest.mark.sockets
async def test_the_camera_is_told_and_a_refusal_or_absence_is_an_os_error(tmp_path):
    gate = gate_at(tmp_path)
    assert not await gate.camera_ready()
    heard = []

    async def camera(reader, writer):
        while line := await reader.readline():
            heard.append(json.loads(line))
            ok = "bad" not in str(heard[-1])
            writer.write(json.dumps({"ok": ok}).encode() + b"\n")
        writer.close()

    server = await asyncio.start_unix_server(camera, tmp_path / "camera.sock")
    assert await gate.camera_ready()
    await gate.show(["GL1:A"])
    await gate.show(["a", "b"])
    with pytest.raises(OSError):
        await gate.show(["bad"])
    await gate.close()
    assert heard == [{"clear": True}, {"show": "GL1:A"}, {"show": ["a", "b"]}, {"show": "bad"}]
    server.close()
    await server.wait_closed()


async def test_answers_are_queued_kept_and_forgotten(tmp_path):
    gate = gate_at(tmp_path)
    gate._hear(json.dumps(LINE))
    gate._hear("noise")
    assert (await gate.answer(timeout_s=1)).seq == 12
    gate._hear(json.dumps(LINE))
    gate.forget_answers()
    assert await gate.answer(timeout_s=0) is None
    assert len(gate.scans) == 2
    assert gate.colours == {"green": 2}


@pytest.mark.parametrize("rounds", range(4))
async def test_who_is_stopped_just_when_the_answer_comes_is_stopped(tmp_path, rounds):
    gate = gate_at(tmp_path)
    waiting = asyncio.create_task(gate.answer(timeout_s=60))
    await asyncio.sleep(0.01)
    gate._hear(json.dumps(LINE))
    for _ in range(rounds):
        await asyncio.sleep(0)
    stopped_in_time = waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled() == stopped_in_time


async def test_an_event_is_waited_for_from_a_mark_on(tmp_path):
    gate = gate_at(tmp_path)
    gate._hear(json.dumps({"event": "in_force", "version": 1}))
    mark = gate.mark()
    assert (await gate.event("in_force", timeout_s=1))["version"] == 1
    assert await gate.event("in_force", timeout_s=0.01, after=mark) is None
    waiting = asyncio.create_task(gate.event("in_force", timeout_s=5, after=mark, fits=lambda e: e["version"] > 2))
    await asyncio.sleep(0)
    gate._hear(json.dumps({"event": "in_force", "version": 2}))
    gate._hear(json.dumps({"event": "in_force", "version": 3}))
    assert (await waiting)["version"] == 3
