"""Guests as their owners see them: known, made, configured, started and stopped, removed."""
