"""The platform's state as a small versioned key-value store."""
