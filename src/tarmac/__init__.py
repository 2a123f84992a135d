"""Tarmac: a hypervisor platform."""
