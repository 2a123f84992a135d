"""How the host is touched: QEMU, storage, network, the state store, image recipes. A driver knows the model, no service."""
