"""All SQL of scoring: literal statements, set-wise, one module per noun of the domain."""
