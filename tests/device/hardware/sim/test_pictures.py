import numpy as np
import pytest
from PIL import Image

from device.hardware.ports import EndOfFramesError, HardwareError
from device.hardware.sim.pictures import PictureCamera, luma_of, pictures_in


def save(path, shade, mode="L"):
    Image.new(mode, (40, 30), shade).save(path)
    return path


def test_a_folder_is_shown_by_name_each_picture_for_its_frames_and_then_again(tmp_path):
    save(tmp_path / "b.png", 20)
    save(tmp_path / "a.png", 10)
    (tmp_path / "notes.txt").write_text("no picture")
    camera = PictureCamera(pictures=tmp_path, frames_each=2, fps=10_000)
    camera.start()
    assert [int(camera.read(1.0).luma[0, 0]) for _ in range(5)] == [10, 10, 20, 20, 10]
    camera.stop()


def test_without_loop_it_ends(tmp_path):
    camera = PictureCamera(pictures=[save(tmp_path / "a.png", 10)], frames_each=2, fps=10_000, loop=False)
    camera.start()
    assert [camera.read(1.0).seq for _ in range(2)] == [1, 2]
    with pytest.raises(EndOfFramesError):
        camera.read(1.0)


def test_a_frame_that_is_not_due_is_none(tmp_path):
    camera = PictureCamera(pictures=save(tmp_path / "a.png", 10), fps=0.001)
    camera.start()
    assert camera.read(0.0) is not None
    assert camera.read(0.0) is None


def test_colours_become_grey_and_turned_pictures_upright(tmp_path):
    path = tmp_path / "a.jpg"
    picture = Image.new("RGB", (40, 30), (255, 255, 255))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(path, exif=exif)
    luma = luma_of(path)
    assert luma.shape == (40, 30)
    assert luma.dtype == np.uint8
    assert luma.min() > 250


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_a_broken_picture_says_so(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(HardwareError):
        luma_of(path)


def test_no_pictures_are_refused(tmp_path):
    with pytest.raises(ValueError):
        pictures_in(tmp_path)
    with pytest.raises(ValueError):
        PictureCamera(pictures=[save(tmp_path / "a.png", 10)], frames_each=0)
