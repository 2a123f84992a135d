"""What is told while it happens: the event stream, and notifications."""
