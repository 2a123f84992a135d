"""This node: the host with its devices, services, packages and logs, the instance, what is set for both."""
