"""What walls show: one board for all streams of this process, kept up to date from the newest rows."""
