"""The endpoints, a folder an area: each module declares its own and calls the services; `table` lists the modules."""
