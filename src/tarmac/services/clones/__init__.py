"""Templates, and clones that stand on them or are copies."""
