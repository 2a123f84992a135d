"""How the host's own users are asked for their passwords."""
