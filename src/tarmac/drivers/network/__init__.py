"""Taps on bridges by netlink."""
