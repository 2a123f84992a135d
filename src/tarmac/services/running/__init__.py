"""The running side of guests: QEMU processes, their agents, consoles, users and use."""
