"""What ingest knows without a database or a network: signatures, answers, responses, and what a delivery changes."""
