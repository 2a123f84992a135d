"""This node and its cluster: the host, the instance, what the cluster shows."""
