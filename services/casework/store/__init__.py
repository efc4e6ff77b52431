"""All SQL of casework, one module per group of tables."""
