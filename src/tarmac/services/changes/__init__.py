"""What was changed, by whom, and how to go back: configurations of guests, definitions, and the inverse of a task."""
