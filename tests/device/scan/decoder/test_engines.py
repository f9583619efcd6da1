"""The libraries behind the port, on drawn codes and on photographs that nobody here took."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from device.hardware.sim.render import HARD, render_code
from device.scan.decoder.engines import ENGINES, ZxingEngine
from device.scan.decoder.enhance import doubled, lower, narrower, sharpened, smoothed

PHOTOS = Path(__file__).parents[3] / "data" / "qr-photos"
TEXT = "GL1:" + "6BF+70790T9WJWG.FKY*4GO0.O1CV2 O5" * 6


def photos(*, decodable):
    for folder in sorted(PHOTOS.iterdir()):
        if decodable != ("falsepositives" in folder.name):
            for path in sorted(folder.iterdir()):
                if path.suffix in {".jpg", ".png", ".webp"}:
                    yield path


def luma_of(path):
    with Image.open(path) as image:
        return np.array(image.convert("L"))


def truth(path):
    """The texts of a photograph, from its side file or the set's list; empty when nobody knows them."""
    beside = path.with_suffix(".txt")
    if beside.exists():
        return {plain(beside.read_bytes().decode())}
    return {plain(text) for text in json.loads((path.parent / "texts.json").read_text("utf-8"))[path.name]}


def plain(text):
    return " ".join(text.split())


def readings(raw):
    """What the bytes of a symbol may mean: old phones wrote Shift JIS or GB without saying so."""
    return {plain(raw.decode(charset, "replace")) for charset in ("utf-8", "shift_jis", "gb18030", "latin-1")}


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return ENGINES[request.param]()


def test_a_code_of_ours(engine, draw):
    assert engine.read(draw(TEXT, side_px=480)) == [TEXT.encode()]


def test_every_code_in_the_picture_is_found(engine, draw):
    one, other = draw("GL1:ONE", side_px=300), draw("GL1:OTHER", side_px=300)
    assert sorted(engine.read(np.hstack([one, other]))) == [b"GL1:ONE", b"GL1:OTHER"]


@pytest.mark.parametrize("side_px", [480, 1088])
def test_frames_larger_than_640_by_480(engine, draw, side_px):
    picture = np.pad(draw(TEXT, module_px=3, side_px=side_px), ((0, 0), (200, 300)), constant_values=90)
    assert engine.read(picture) == [TEXT.encode()]


def test_other_symbols_are_not_read(engine):
    bars = np.repeat(np.random.default_rng(1).integers(0, 2, (1, 160), dtype=np.uint8) * 255, 200, axis=0)
    assert engine.read(np.repeat(bars, 3, axis=1)) == []


def test_read_only_memory(engine, draw):
    picture = draw(TEXT)
    picture.flags.writeable = False
    assert engine.read(picture) == [TEXT.encode()]


@pytest.mark.parametrize("shape", [(1, 1), (20, 900), (21, 21), (22, 23)])
def test_pictures_too_small_for_any_code(engine, shape):
    assert engine.read(np.zeros(shape, dtype=np.uint8)) == []


def test_structured_append_is_read_as_nothing_by_pyzbar_and_in_parts_by_zxing(draw):
    import segno

    parts = segno.make_sequence("GL1:" + "A" * 60, symbol_count=2, error="m")
    rows = np.array([list(row) for row in parts[0].matrix], dtype=np.uint8)
    picture = np.kron(
        np.pad(np.where(rows, 0, 255).astype(np.uint8), 4, constant_values=255), np.ones((5, 5), np.uint8)
    )
    assert ENGINES["pyzbar"]().read(picture) == []
    assert len(ENGINES["zxing"]().read(picture)) == 1


def test_bytes_are_given_as_they_stand_in_the_symbol(draw):
    import segno

    rows = np.array([list(row) for row in segno.make(b"\xff\xfe\x00GL1", error="m", micro=False).matrix], np.uint8)
    picture = np.kron(
        np.pad(np.where(rows, 0, 255).astype(np.uint8), 4, constant_values=255), np.ones((5, 5), np.uint8)
    )
    assert ZxingEngine().read(picture) == [b"\xff\xfe\x00GL1"]


@pytest.mark.slow
def test_the_second_look_reads_what_the_first_cannot():
    rng = np.random.default_rng(5)
    engine = ZxingEngine()
    frames = [render_code(TEXT, size=(640, 480), rng=rng, look=HARD) for _ in range(30)]
    first = sum(bool(engine.read_plain(luma)) for luma in frames)
    assert sum(engine.read(luma) == [TEXT.encode()] for luma in frames) >= first + 5


@given(arrays(np.uint8, st.tuples(st.integers(2, 12), st.integers(2, 12)), elements=st.integers(0, 255)))
def test_enlarging_keeps_every_pixel_and_puts_means_between(luma):
    large = doubled(luma)
    assert large.shape == (2 * luma.shape[0] - 1, 2 * luma.shape[1])
    assert (large[::2, ::2] == luma).all()
    assert (large[::2, 1:-1:2] == (luma[:, :-1].astype(int) + luma[:, 1:]) // 2).all()
    assert (large[1::2, ::2] == (luma[:-1].astype(int) + luma[1:]) // 2).all()


@given(st.integers(0, 255))
def test_smoothing_changes_nothing_on_an_even_wall(shade):
    wall = np.full((9, 7), shade, dtype=np.uint8)
    assert (smoothed(wall) == wall[1:, 1:]).all()


def test_smoothing_spreads_a_point_over_four_pixels():
    point = np.zeros((4, 4), dtype=np.uint8)
    point[2, 2] = 160
    assert smoothed(point).tolist() == [[0, 0, 0], [0, 40, 40], [0, 40, 40]]


@pytest.mark.slow
def test_photographs_are_read_as_they_are_known():
    engine = ZxingEngine()
    read = wrong = known = 0
    for path in photos(decodable=True):
        texts = truth(path)
        found = set().union(*map(readings, engine.read(luma_of(path))))
        known += bool(texts)
        read += bool(found & texts)
        wrong += bool(found and texts and not found & texts)
    assert wrong == 0
    assert read / known > 0.8


@pytest.mark.slow
def test_nothing_is_read_where_nothing_is(engine):
    paths = list(photos(decodable=False))
    assert len(paths) >= 5
    assert [path.name for path in paths if engine.read(luma_of(path))] == []


def test_frames_of_a_camera_are_read_too(engine, draw):
    seen = engine.watch(draw(TEXT, side_px=480), closer=False)
    assert (seen.texts, seen.code_like) == ([TEXT.encode()], True)


def test_an_empty_frame_is_not_like_a_code(engine):
    empty = np.random.default_rng(1).integers(90, 110, (480, 640), dtype=np.uint8)
    for closer in (False, True):
        seen = engine.watch(empty, closer=closer)
        assert (seen.texts, seen.code_like) == ([], False)


def test_light_on_dark_is_read_in_one_of_two_frames(draw):
    engine, picture = ZxingEngine(), 255 - draw(TEXT, side_px=480)
    assert sorted(bool(engine.watch(picture, closer=False).texts) for _ in range(2)) == [False, True]


class Looks(ZxingEngine):
    """Counts the further looks, which read nothing."""

    def __init__(self):
        super().__init__()
        self.taken = []

    def _further(self, luma):
        return tuple(lambda _luma, name=name: self.taken.append(name) or [] for name in "abcde")


@pytest.fixture
def broken_code(draw):
    """It looks like a code, and cannot be read: a third of its modules are covered."""
    picture = draw(TEXT, side_px=480)
    rows, columns = np.nonzero(picture < 128)
    top, left, bottom, right = rows.min(), columns.min(), rows.max(), columns.max()
    picture[(top + bottom) // 2 : bottom - 60, (left + right) // 2 : right - 60] = 0
    picture[top + 60 : (top + bottom) // 2, left + 60 : right - 60] = 255
    return picture


def test_what_looks_like_a_code_gets_another_look_at_once_and_not_for_ever(broken_code):
    engine = Looks()
    seen = engine.watch(broken_code, closer=False)
    assert (seen.texts, seen.code_like) == ([], True)
    assert engine.taken == ["a", "b"]
    for _ in range(200):
        engine.watch(broken_code, closer=False)
    looked = len(engine.taken)
    for _ in range(40):
        engine.watch(broken_code, closer=False)
    assert 10 <= len(engine.taken) - looked <= 20


def test_what_looks_like_nothing_gets_a_closer_look_when_asked_for_and_another_each_time():
    engine, empty = Looks(), np.full((480, 640), 90, np.uint8)
    engine.watch(empty, closer=False)
    assert engine.taken == []
    for _ in range(5):
        engine.watch(empty, closer=True)
    assert sorted(engine.taken) == list("abcde")


@pytest.mark.slow
def test_squeezing_reads_a_phone_that_is_tipped(draw):
    """What stands half as high as it is wide is not read by zxing alone at this size."""
    engine, picture = ZxingEngine(), draw(TEXT, module_px=6, side_px=480)
    assert engine.read(picture.repeat(3, axis=0)) == [TEXT.encode()]


@given(st.integers(0, 255))
def test_sharpening_changes_nothing_on_an_even_wall(shade):
    wall = np.full((9, 7), shade, dtype=np.uint8)
    assert (sharpened(wall) == wall[4:, 4:]).all()


def test_sharpening_widens_an_edge_and_stays_within_bytes():
    edge = np.tile(np.array([100] * 6 + [140] * 6, np.uint8), (12, 1))
    assert sharpened(edge)[0].tolist() == [100, 100, 80, 80, 160, 160, 140, 140]
    assert sharpened(edge // 141 * 255).max() == 0


def test_squeezing_drops_rows_or_columns():
    luma = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert lower(luma).tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert narrower(luma).tolist() == [[0, 2], [4, 6], [8, 10], [12, 14]]
