"""NOT PiDNG, which writes raw pictures: a gate writes none."""
