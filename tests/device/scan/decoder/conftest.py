"""Codes to read, without a renderer between."""

import numpy as np
import pytest
import segno


def draw(text, *, module_px=4, side_px=None):
    rows = segno.make(text, error="m", micro=False).matrix
    modules = np.array([list(row) for row in rows], dtype=np.uint8)
    picture = np.pad(np.where(modules, 20, 235).astype(np.uint8), 4, constant_values=235)
    picture = np.kron(picture, np.ones((module_px, module_px), dtype=np.uint8))
    missing = (side_px or picture.shape[0]) - picture.shape[0]
    return np.pad(picture, ((0, missing), (0, missing)), constant_values=128)


@pytest.fixture(name="draw")
def draw_():
    return draw
