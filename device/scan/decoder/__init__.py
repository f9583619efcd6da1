"""The decode child: barcode libraries fed with hostile pictures, in a process that can touch nothing.

`process` is the parent's handle, `child` the loop inside, `wire` what they say to each other, `engines` the
libraries, `jail` the walls and `selftest` the proof that the walls stand.
"""
