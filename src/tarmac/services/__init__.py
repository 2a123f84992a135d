"""What the platform does: every verb, one noun per folder. Knows no HTTP and no terminal."""
