"""The guests that there are: their records, what is observed of each, their users on the host."""
