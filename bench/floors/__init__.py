"""Straight-line scripts that do a stage's work with nothing of the product in it. They import nothing of ours."""
