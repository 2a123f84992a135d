"""A node: the host behind it, its certificates, and what it can give guests."""
