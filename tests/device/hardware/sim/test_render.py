"""Rendered codes against real decoders. The rates are those of our rendering, not of any camera."""

import numpy as np
import pytest
import zxingcpp
from pyzbar.pyzbar import ZBarSymbol, decode

from device.hardware.sim.phone import qr_modules
from device.hardware.sim.render import GATE, HARD, TYPICAL, render_code, show_codes
from device.hardware.sim.surroundings import add_noise, background, noise_field

ALPHANUMERIC = list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")
VERSION_10_M_CHARS = 311
SIZE = (640, 480)


def text_of(chars, rng):
    return "GL1:" + "".join(rng.choice(ALPHANUMERIC, chars - 4))


def zxing(luma):
    return {code.text for code in zxingcpp.read_barcodes(luma, formats=zxingcpp.BarcodeFormat.QRCode)}


def zbar(luma):
    return {code.data.decode() for code in decode(luma, symbols=[ZBarSymbol.QRCODE])}


def test_a_rendered_code_is_a_grey_picture_that_decodes():
    rng = np.random.default_rng(1)
    luma = render_code("GL1:HELLO", size=SIZE, rng=rng, look=GATE)
    assert luma.shape == (480, 640)
    assert luma.dtype == np.uint8
    assert zxing(luma) == {"GL1:HELLO"}


def test_the_same_random_numbers_give_the_same_picture():
    one, other = (render_code("GL1:HELLO", size=SIZE, rng=np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, other)


def test_alphanumeric_texts_take_the_version_that_the_protocol_counts_on():
    rng = np.random.default_rng(2)
    assert len(qr_modules(text_of(VERSION_10_M_CHARS, rng))) == 57
    assert len(qr_modules(text_of(221, rng))) == 49


def test_noise_never_overflows():
    rng = np.random.default_rng(3)
    hall = background(size=SIZE, rng=rng)
    noise = noise_field(size=SIZE, sigma=50.0, rng=rng)
    difference = add_noise(hall, noise).astype(int) - hall
    assert np.abs(difference).max() <= 20


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError):
        render_code("A" * 5000, size=SIZE, rng=np.random.default_rng(1))
    with pytest.raises(ValueError):
        render_code("A" * 300, size=(160, 120), rng=np.random.default_rng(1))


@pytest.mark.slow
def test_codes_up_to_version_10_m_decode_in_more_than_95_of_100_gate_frames():
    rng = np.random.default_rng(4)
    hall = background(size=SIZE, rng=rng)
    noise = noise_field(size=SIZE, sigma=GATE.noise, rng=rng)
    codes, poses = 40, 4
    read_by_zxing = read_by_zbar = 0
    for _ in range(codes):
        text = text_of(int(rng.integers(60, VERSION_10_M_CHARS + 1)), rng)
        for scene in show_codes((text,), hall=hall, rng=rng, look=GATE, poses=poses):
            frame = add_noise(scene, noise)
            read_by_zxing += zxing(frame) == {text}
        read_by_zbar += zbar(frame) == {text}
    assert read_by_zxing / (codes * poses) > 0.95
    assert read_by_zbar / codes > 0.7


@pytest.mark.slow
def test_looks_grow_harder():
    rng = np.random.default_rng(5)
    rates = []
    for look in (GATE, TYPICAL, HARD):
        texts = [text_of(int(rng.integers(187, VERSION_10_M_CHARS + 1)), rng) for _ in range(40)]
        rates.append(sum(zxing(render_code(t, size=SIZE, rng=rng, look=look)) == {t} for t in texts) / 40)
    assert rates[0] >= 0.95
    assert rates[1] >= 0.9
    assert 0.2 <= rates[2] <= 0.7
