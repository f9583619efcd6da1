"""Registers: reading a page of one in bounded steps, and the files in which one is taken away."""
