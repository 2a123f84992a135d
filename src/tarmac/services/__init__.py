"""What the platform does: every verb, one noun per file. Knows no HTTP and no terminal."""
