"""Simulated hardware, shipped with the product: for the sandbox, for tests, for a laptop. None of it is a real gate."""
