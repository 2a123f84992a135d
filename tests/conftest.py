"""What all tests share: the guest images."""

from support.images import debian_image, tiny_image

__all__ = ["debian_image", "tiny_image"]
