"""A stand-in for the government platform, for demonstrations and tests. It is NOT a platform.

It keeps the platform's side of the wire for real: mutual TLS, signed batches verified, every device
signature and every chain checked, rows and receipt in one transaction. What it makes up are the people:
their codes come from `wallet.py` with whatever colour the sandbox asks for.
"""
