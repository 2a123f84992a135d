"""What guests are told at their first boot, and the medium that carries it."""
