"""The endpoints, noun by noun: each module declares its own and calls the services; `table` lists the modules."""
