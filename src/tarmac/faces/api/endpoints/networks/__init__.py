"""Endpoints of networks: zones, virtual networks, subnets, addresses."""
