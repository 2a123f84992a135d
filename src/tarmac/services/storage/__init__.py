"""Storages, and what they hold: volumes, images, uploads, downloads, exports."""
