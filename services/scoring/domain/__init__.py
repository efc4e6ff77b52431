"""What a score means and what a customer is worth; pure, one module per noun."""
