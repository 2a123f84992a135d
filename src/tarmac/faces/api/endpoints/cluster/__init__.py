"""The whole: what is there, what changes, what was changed, tasks, figures, notifications, settings."""
