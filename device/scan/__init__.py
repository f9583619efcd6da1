"""FAST: camera frame -> light. Read loop.py first: the stages in order on one page."""
