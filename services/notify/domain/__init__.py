"""What notify decides, as pure functions: messages, what their outcomes mean, rounds of confirmation."""
