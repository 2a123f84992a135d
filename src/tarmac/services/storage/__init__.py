"""Storages, and what they hold: volumes, their space, and whether they answer."""
