"""What casework decides, as pure functions: cases, their clocks, and who owns them."""
