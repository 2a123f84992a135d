"""What guests are to be: made, shown, changed at once or at the next start, and what that asks of disks and rights."""
