"""Networks of our own: zones, virtual networks, subnets, addresses, and what makes them so on this host."""
