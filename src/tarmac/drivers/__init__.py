"""How the host is touched: QEMU, storage, network, store, image recipes. A driver knows the model, no service."""
