"""How much a property test tries."""

from hypothesis import settings


def examples(number: int) -> int:
    """So many examples in a run of all tests, and in the quick one (`./test unit`) the share that its profile has."""
    return max(1, number * settings.default.max_examples // 100)
