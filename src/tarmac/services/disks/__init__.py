"""Disks of guests: grown, mirrored, moved to other storages and formats, given to other guests; and those of nobody."""
