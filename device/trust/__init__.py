"""What this gate believes: whose codes it knows, and whether it knows the time."""
