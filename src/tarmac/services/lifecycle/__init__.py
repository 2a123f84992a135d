"""Guests started, ended and removed: one by one, many in a call, with their host, and again after a full storage."""
