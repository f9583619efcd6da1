"""The camera's way on picamera2 and libcamera as Debian 13 has them, with pictures for a sensor.

root.py      a Debian 13 with libcamera, picamera2 and the packages of a gate; made once, then only read
scenes.py    what stands before the camera, one picture after the other, and what a gate must say of it
run.py       a gate in that root: its log, its frames, its memory
guest/       what stands in for a Pi's kernel and sensor in there; the firmware itself is the checkout's, unchanged
"""
