"""One guest as one QEMU process: configuration to argv, start, adopt, QMP, agent, consoles."""
