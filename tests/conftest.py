"""What all tests share: the guest images, how much property tests try, which files begin first where two run at a
time, and that a test which hangs is named."""

import pytest
from hypothesis import settings

from support.images import debian_image, tiny_image
from support.overdue import Overdue

__all__ = ["debian_image", "tiny_image"]

settings.register_profile("whole", settings.default, deadline=None)  # a busy machine is no fault of what is tested
settings.register_profile("quick", settings.get_profile("whole"), max_examples=25)
settings.load_profile("whole")

LONG = (
    "qemu/test_image_debian.py",
    "system/test_kernel_storages.py",
    "system/test_faults_crash.py",
    "system/test_ansible.py",
    "system/test_storage_rbd.py",
    "system/test_api_schema.py",
    "contract/",
    "system/",
    "qemu/",
)
"""Files that take minutes: begun last, one of them would run alone for all that time. The first that fits counts."""


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Overdue(config), "overdue")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, else as they were found."""
    items.sort(key=lambda item: _place(item.path.as_posix()))


def _place(path: str) -> int:
    return next((place for place, part in enumerate(LONG) if f"/tests/{part}" in path), len(LONG))
