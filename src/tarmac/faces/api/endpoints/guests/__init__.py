"""Guests: configuration, power, clones, snapshots, consoles, what their agents do, and many at once."""
