"""NOT PiDNG."""


class PICAM2DNG:
    """Never made."""
