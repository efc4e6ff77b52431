"""All SQL of ingest: sources with their secrets, and deliveries with the responses that they bring."""
