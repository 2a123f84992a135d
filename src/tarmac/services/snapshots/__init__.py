"""Snapshots: taken, listed, compared, gone back to, merged away, by hand and by the clock."""
