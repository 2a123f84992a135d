"""Recipes that build guest images from Debian packages."""
