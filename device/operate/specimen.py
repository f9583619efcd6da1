"""A code of kind specimen, as text and as picture: what this gate can test its own decoder with.

It is signed by a key that nobody trusts, and ended in 1970.
"""

import numpy as np
import numpy.typing as npt

# Taken apart only to fit the page.
TEXT = (
    "GL1:RRQT 9P60GO0AQTUEK8YUV-I8CKZM47D0/NA1Y80C9CY8/NA1Y80C9CY8ZM06Y0/E736077E/E7360RIE27B%0R94N456ZVQ 6M9LA "
    "5KP31 P0P5WF5MWW66TE3PR51S RM2IHJXMN2S+DC86W6:MDTV8UBG.DBS9AZIB.G4PSE2KX61YHC"
)

_SIDE = 49
_ROW_BYTES = 7
_MODULES = bytes.fromhex(
    "01fde5f31ac17f0104c83bf42f410174627668235d0175ffc925c25d01757d8ff0b85d0105e7a459b44101fd555555557f0001a8fc5c5f"
    "0001174acfe332f901a35ab84644e8018d6fe507526e00e3bdd0e66967018c16d6d00c1501bbe2f1850bf70134ba65b8a7000089b78cda"
    "c15f011f46684f928e00dad12ee53150008f6f83f06a3e01118b6c166d390106716863acde015bb7bdd6bed9009f89b7ecabf401f1c414"
    "621b1600b5de9542dd530051d57472351901ffc417fc77f8011be893a27da1004eb37f30478801ba95c9194ef801276254229cb600bb08"
    "f674258200e6792df06eb6012169eb1ac7d1013c6d7b0bd0d001485e76a96e8c00a791f351946e01eb5dc503d0ba008e85f5d3b39000e2"
    "5a53b5f4a301c615a7c21df20001eafc61ef1101fd414561835d01040cd479bd1d0175c797cc3ffd017431bd0f816f0174e8aa79b05801"
    "048f0cdae65701fd02e6cf9e91"
)
"""The symbol (8-M), a row after the other, each from its highest bit of 49."""

_QUIET = 4
_MODULE_PX = 6


def picture() -> npt.NDArray[np.uint8]:
    """The symbol with its quiet zone as luma, uint8 of shape (height, width), as a camera would see it up close."""
    rows = np.unpackbits(np.frombuffer(_MODULES, np.uint8).reshape(_SIDE, _ROW_BYTES), axis=1)[:, -_SIDE:]
    framed = np.pad(rows, _QUIET)
    return np.where(np.kron(framed, np.ones((_MODULE_PX, _MODULE_PX), np.uint8)) == 1, 20, 235).astype(np.uint8)
