"""Long work: queued, planned, executed step by step, undone or finished after a crash; seen as tasks."""
