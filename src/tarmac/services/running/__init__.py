"""The running side of guests: QEMU processes, their agents, consoles and use, and what changes in them meanwhile."""
