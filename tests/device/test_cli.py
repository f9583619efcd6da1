import hashlib
import json

import pytest
import segno
from PIL import Image

from device import commands
from device.cli import main
from device.hardware.pi import safe
from device.model import Draft
from device.send.seal import seal
from device.send.spool import Spool
from protocol.checkin import Evidence
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict
from protocol.trust import seal_trust

SEED = hashlib.sha256(b"device").digest()


@pytest.fixture
def site(tmp_path, world):
    """A configured device that was never started: the path of its device.toml."""
    (tmp_path / "device.key").write_text(f"ed25519 {SEED.hex()}\n")
    (tmp_path / "device.key").chmod(0o600)
    (tmp_path / "hub.pub").write_bytes(encode_key(Ed25519SigningKey(bytes(32)).public))
    (tmp_path / "root.pub").write_bytes(encode_key(world.root.public))
    (tmp_path / "trust.cose").write_bytes(seal_trust(world.bundle(), key=world.root))
    config = tmp_path / "device.toml"
    config.write_text(
        """
device_id = "00112233445566aa"
place = "mall-1"
gate = "north"
state_dir = "state"
[keys]
signing = "device.key"
hub = "hub.pub"
root = "root.pub"
[trust]
bundle = "trust.cose"
[broker]
host = "localhost"
ca = "ca.pem"
cert = "c.pem"
key = "k.pem"
[camera]
kind = "people"
socket = "camera.sock"
[hardware]
kind = "pi"
"""
    )
    return config


def picture(path, text):
    segno.make(text, micro=False).save(str(path), scale=4, border=4)
    return str(path)


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["zxing", "pyzbar"])
def test_a_picture_of_a_code_is_read_and_judged(tmp_path, world, site, capsys, engine):
    shown = picture(tmp_path / "green.png", world.text())
    judge = ["--trust", str(tmp_path / "trust.cose"), "--root", str(tmp_path / "root.pub"), "--at", str(world.now_s)]
    assert main(["scan", "--engine", engine, *judge, shown]) == 0
    (line,) = lines(capsys)
    assert (line["scheme"], line["colour"], line["verdict"], line["reason"]) == ("gatelight", "green", "admit", "ok")
    assert line["text"] == world.text()
    assert set(line["ms"]) == {"open", "decode", "verify", "decide"}


@pytest.mark.slow
def test_adverts_empty_pictures_and_broken_files_are_told_apart(tmp_path, capsys):
    advert = picture(tmp_path / "advert.png", "HTTPS://EXAMPLE.COM/BUY")
    Image.new("L", (320, 240), 128).save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    given = [advert, str(tmp_path / "empty.png"), str(tmp_path / "broken.png")]
    assert main(["scan", *given]) == 1
    of_advert, of_empty, of_broken = lines(capsys)
    assert (of_advert["scheme"], of_advert["verdict"]) == ("none", None)
    assert of_empty["text"] is None
    assert "broken.png" in of_broken["error"]


@pytest.mark.slow
def test_a_code_that_holds_no_text_is_not_taken_for_an_empty_picture(tmp_path, capsys):
    segno.make(b"\xff\xfe\x00\x80", micro=False).save(str(tmp_path / "bytes.png"), scale=4)
    assert main(["scan", str(tmp_path / "bytes.png")]) == 0
    (line,) = lines(capsys)
    assert (line["text"], line["not_text"]) == (None, 1)


@pytest.mark.slow
def test_without_a_bundle_a_code_is_read_but_not_judged(tmp_path, world, capsys):
    assert main(["scan", picture(tmp_path / "a.png", world.text())]) == 0
    (line,) = lines(capsys)
    assert (line["scheme"], line["colour"]) == ("gatelight", None)


def test_check_config_prints_what_is_in_force_and_opens_every_file(site, capsys):
    assert main(["check-config", "--config", str(site)]) == 0
    assert json.loads(capsys.readouterr().out)["policy"]["open_ms"] == 3000
    (site.parent / "trust.cose").write_bytes(b"\xd2")
    assert main(["check-config", "--config", str(site)]) == 2
    assert "trust bundle" in capsys.readouterr().err


def draft(world) -> Draft:
    return Draft(
        at_ms=world.now_ms,
        clock=Clock.TRUSTED,
        place="mall-1",
        gate="north",
        direction=Direction.IN,
        colour=Colour.GREEN,
        verdict=Verdict.ADMIT,
        reason=Reason.OK,
        code=bytes(16),
        scheme=Scheme.GATELIGHT,
        subject=bytes(16),
        masked=None,
        evidence=Evidence(),
    )


def test_spool_shows_depth_head_and_the_state_of_the_chain(site, world, capsys):
    key = Ed25519SigningKey(SEED)
    (site.parent / "state").mkdir()
    spool = Spool.open(site.parent / "state" / "spool.db", new_epoch=bytes(8), now_ms=0, reserve_bytes=4096)
    for _ in range(3):
        last = spool.append(
            lambda epoch, seq, prev: seal(draft(world), device=bytes(8), epoch=epoch, seq=seq, prev=prev, key=key)
        )
    spool.close()
    assert main(["spool", "--config", str(site), "--json"]) == 0
    (report,) = lines(capsys)
    assert (report["depth"], report["oldest"], report["head_seq"], report["chain_ok"]) == (3, 1, 3, True)
    assert report["head_hash"] == last.hash.hex()


def test_a_spool_signed_by_another_key_has_faults(site, world, capsys):
    (site.parent / "state").mkdir()
    spool = Spool.open(site.parent / "state" / "spool.db", new_epoch=bytes(8), now_ms=0, reserve_bytes=4096)
    other = Ed25519SigningKey(bytes(32))
    spool.append(
        lambda epoch, seq, prev: seal(draft(world), device=bytes(8), epoch=epoch, seq=seq, prev=prev, key=other)
    )
    spool.close()
    assert main(["spool", "--config", str(site)]) == 1
    assert "faults" in capsys.readouterr().out


def test_safe_is_the_same_by_its_short_way_and_among_the_commands(site, monkeypatch):
    driven = []
    monkeypatch.setattr(safe, "open_header", lambda: 7)
    monkeypatch.setattr(safe, "claim", lambda chip, pin, level: driven.append((chip, pin, level)))
    assert main(["safe", "--config", str(site)]) == 0
    short = list(driven)
    driven.clear()
    assert commands.main(["safe", "--config", str(site)]) == 0
    assert driven == short == [(7, 26, 0), (7, 5, 0), (7, 6, 0), (7, 13, 0), (7, 12, 0)]


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "--config", "/nowhere/device.toml"],
        ["spool", "--config", "/nowhere/device.toml"],
        ["scan", "/nowhere/folder", "--trust", "a"],
    ],
)
def test_what_cannot_be_used_is_exit_code_2(argv, capsys):
    assert main(argv) == 2
    assert capsys.readouterr().err.startswith("gatelight-device: ")
