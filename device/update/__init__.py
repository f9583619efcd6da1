"""How a device comes to a newer release, and back to the one before (docs: `deploy/firmware/README.md`).

The gate writes down what is wanted and that it is well (`notes.py`, `wellness.py`); `gatelight-update`, a program of
its own and of the installed release, fetches, verifies, unpacks, switches, watches and goes back.
"""
