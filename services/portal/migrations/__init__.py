"""The steps of the schema, as Alembic runs them."""
