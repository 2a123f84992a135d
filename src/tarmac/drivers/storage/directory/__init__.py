"""Storages whose volumes are files: in a directory (`storage.DirectoryStorage`), on btrfs, on a share that is mounted.

What a directory storage does is spread over `images`, `bases`, `frozen` and `points`, which stand on `ground`; `files`
and `layers` are what they do to the file system.
"""
