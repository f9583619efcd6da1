"""The gate on picamera2 and libcamera as Debian 13 has them: what it says of what people hold up, and how it lasts."""

import datetime as dt

import numpy as np
import pytest

from deploy.hil.camera import run
from deploy.hil.camera.root import made_root
from deploy.hil.camera.scenes import film, hall, scenes
from deploy.hil.mirror import ROOT
from device.hardware.pi.camera import BUFFERS

pytestmark = [pytest.mark.hil, pytest.mark.xdist_group("hil-camera")]

LOG = ROOT / ".artefacts/hil/camera.log"
FPS = 30
"""As a gate's camera. A picture is shown for four frames, so eight are a second without anybody: longer than a code must
be away to be a new one (0.7 s)."""
PICTURES, PAUSE = 3, 8
FRAMES, WARM = 10_000, 2_000
DECODED = 2_000
"""Of those: each picture comes four times, and what shows no change is not decoded again."""
GROWTH_KIB, DECODER_GROWTH_KIB = 1024, 200
"""Leaks of 105 bytes a frame, and of as much a decoded frame, would be seen. A frame itself has 300 KiB."""
SPARE_DESCRIPTORS = 10
"""The gate looks for its hub all the time. Shared memory that is not given back keeps a descriptor each."""
FILTERED = 2
START_S, SCENE_S = 60, 30


@pytest.fixture(scope="module")
def root():
    LOG.unlink(missing_ok=True)
    return made_root()


@pytest.fixture
def stage(tmp_path):
    """(site, scenes): a gate that nobody has started, and what is held up before it."""
    now = dt.datetime.now(dt.UTC)
    site = run.lay_out(tmp_path, width_px=640, height_px=480, now=now)
    rng = np.random.default_rng(1)
    return site, scenes(site.wallet, green=run.GREEN, red=run.RED, now_s=int(now.timestamp()), rng=rng)


def filmed(site, shown, *, pictures=PICTURES, pause=PAUSE):
    film(shown, empty=hall(np.random.default_rng(2)), into=site.folder / "film", pictures=pictures, pause=pause)


def answer(gate):
    scan = gate.event("scan", timeout_s=SCENE_S)
    return scan["colour"], scan["verdict"], scan["reason"]


def is_warm(line):
    """The gate, its decoder and the spare one, which comes last and would else be seen to grow."""
    _, *decoders = line.get("processes", [None])
    return line.get("frames", 0) >= WARM and [one["seccomp"] for one in decoders] == [FILTERED] * 2


def test_every_scene_has_the_verdict_that_is_owed(root, stage):
    site, shown = stage
    filmed(site, shown)
    owed = [scene.owed for scene in shown if scene.owed is not None]
    with run.running(root, site, fps=FPS, log=LOG) as gate:
        gate.event("ready", timeout_s=START_S)
        assert [answer(gate) for _ in owed] == owed
        # Noise, another's QR code and nobody came after the last; what comes next is the first scene once more.
        assert answer(gate) == ("grey", "hold", "already_used")
        assert gate.end() == 0


def test_a_camera_that_stalls_is_started_anew_and_one_that_stays_so_ends_the_gate(root, stage):
    site, shown = stage
    filmed(site, shown[:1])
    with run.running(root, site, fps=FPS, log=LOG) as gate:
        gate.event("ready", timeout_s=START_S)
        assert answer(gate) == ("green", "admit", "ok")
        # Its buffers are gone before the gate notices, so that how fast this test is plays no part.
        site.wedge(buffers=BUFFERS, timeout_s=SCENE_S)
        gate.wait("the camera is closed", lambda line: "closed" in str(line.get("text")), timeout_s=SCENE_S)
        gate.wait("the camera is open", lambda line: "now open" in str(line.get("text")), timeout_s=SCENE_S)
        assert answer(gate) == ("grey", "hold", "already_used")
        site.stall.touch()
        assert gate.event("failed", timeout_s=SCENE_S)["error"].startswith("CameraLostError")
        assert gate.ended(timeout_s=SCENE_S) == 1


def test_memory_stays_as_it_is_over_ten_thousand_frames(root, stage):
    site, shown = stage
    filmed(site, shown, pictures=2, pause=2)
    with run.running(root, site, fps=0, log=LOG) as gate:
        gate.event("ready", timeout_s=START_S)
        warm = gate.wait("frames from a gate with two decoders behind their walls", is_warm, timeout_s=SCENE_S)
        end = gate.wait(
            "the last frame",
            lambda line: (
                line.get("frames", 0) >= warm["frames"] + FRAMES and line["decoded"] >= warm["decoded"] + DECODED
            ),
            timeout_s=SCENE_S + FRAMES / FPS,
        )
        assert gate.end() == 0
    before, after = ([one["memory_kib"] for one in line["processes"]] for line in (warm, end))
    grown = [last - first for first, last in zip(before, after, strict=True)]
    assert grown[0] < GROWTH_KIB, f"{warm} {end}"
    assert max(grown[1:]) < DECODER_GROWTH_KIB, f"{warm} {end}"
    before, after = ([one["descriptors"] for one in line["processes"]] for line in (warm, end))
    opened = [last - first for first, last in zip(before, after, strict=True)]
    assert max(opened) < SPARE_DESCRIPTORS, f"{warm} {end}"
