"""Where check-ins stay: the port, its errors, and the SQLite store behind it."""
