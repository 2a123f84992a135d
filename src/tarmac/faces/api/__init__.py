"""The Proxmox VE API: declarations, HTTP, errors, consoles."""
