"""Words that pages and mails share, in each language that people are written to in."""
