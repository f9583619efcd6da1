"""A whole Gatelight site on one machine: the demo, and the driver of the acceptance tests.

Everything here talks to the product from outside, as processes, sockets and files, exactly as an
operator would. Read `site.py` first: it starts every part and proves the end result.
"""
