"""Pure values: guests, disks, ids, units, errors, and how an option is declared. Depends on nothing of ours."""
