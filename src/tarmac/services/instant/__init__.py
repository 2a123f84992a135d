"""Instant clones: templates with memory, the guests that go on from them, and identities of their own."""
