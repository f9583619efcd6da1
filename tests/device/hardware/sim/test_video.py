import av
import numpy as np
import pytest

from device.hardware.ports import EndOfFramesError, HardwareError
from device.hardware.sim.video import VideoCamera


@pytest.fixture
def film(tmp_path):
    """Three frames, shades 10, 20 and 30, at 50 frames a second, without loss."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=50)
        stream.width, stream.height, stream.pix_fmt = 70, 30, "gray"
        for shade in (10, 20, 30):
            picture = np.full((30, 70), shade, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode())
    return path


def test_frames_come_in_order_and_end(film):
    camera = VideoCamera(path=film, paced=False)
    camera.start()
    frames = [camera.read(0.0) for _ in range(3)]
    assert [int(frame.luma[29, 69]) for frame in frames] == [10, 20, 30]
    assert frames[0].luma.shape == (30, 70)
    with pytest.raises(EndOfFramesError):
        camera.read(0.0)
    camera.stop()


def test_a_loop_starts_again(film):
    camera = VideoCamera(path=film, paced=False, loop=True)
    camera.start()
    assert [int(camera.read(0.0).luma[0, 0]) for _ in range(4)] == [10, 20, 30, 10]
    camera.stop()


def test_frames_are_paced_by_the_films_rate(film):
    camera = VideoCamera(path=film)
    camera.start()
    first = camera.read(1.0)
    assert camera.read(0.0) is None
    assert camera.read(1.0).at_mono_ns - first.at_mono_ns > 10_000_000
    camera.stop()


def test_what_is_no_film_says_so(tmp_path):
    path = tmp_path / "film.mkv"
    path.write_bytes(b"not a film")
    with pytest.raises(HardwareError):
        VideoCamera(path=path).start()
