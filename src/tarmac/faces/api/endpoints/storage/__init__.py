"""Storages and what is on them: volumes, uploads, downloads, exports, images."""
