"""Shares, means and NPS with their intervals, for every service that shows how sure a number is; pure."""
