"""Certificates that are ordered: accounts with authorities, orders, renewal."""
