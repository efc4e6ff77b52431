"""All SQL of notify: profiles, the ledger of messages, their delivery, the rounds of confirmation."""
