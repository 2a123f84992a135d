"""Domain-free tools: tasks, processes, files, undo, progress. Knows nothing of virtual machines."""
