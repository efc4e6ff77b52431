"""What customers write: in which language, about what, and whether it can wait."""
