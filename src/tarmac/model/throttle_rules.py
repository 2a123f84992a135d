"""Which limits of a disk QEMU accepts together. Source: util/throttle.c (throttle_is_valid), THROTTLE_VALUE_MAX."""

from __future__ import annotations

from collections.abc import Iterator

from tarmac.model.disk import Throttle

_MAX = 10**15


def throttle_problems(disk: Throttle) -> Iterator[str]:
    """What is wrong with the limits of a disk, a text each."""
    limits = disk.throttle_limits()
    for unit, name in (("bps", "mbps"), ("iops", "iops")):
        for suffix in ("", "-max"):
            parts = [limits.get(f"{unit}-{way}{suffix}") for way in ("read", "write")]
            if limits.get(f"{unit}-total{suffix}") and any(parts):
                yield f"{name}{suffix.replace('-', '_')} limits reads and writes together: not beside _rd or _wr"
        for way, short in (("total", ""), ("read", "_rd"), ("write", "_wr")):
            yield from _bucket(limits, f"{unit}-{way}", f"{name}{short}", f"{unit}{short}")


def _bucket(limits: dict[str, int], key: str, name: str, length_name: str) -> Iterator[str]:
    average, burst = limits.get(key, 0), limits.get(f"{key}-max", 0)
    seconds = limits.get(f"{key}-max-length", 0)
    if max(average, burst) > _MAX:
        yield f"{name} is more than QEMU can count"
    elif burst and not average:
        yield f"{name}_max ({burst}) needs {name}"
    elif burst and burst < average:
        yield f"{name}_max ({burst}) is less than {name} ({average})"
    elif seconds > 1 and not burst:
        yield f"{length_name}_max_length ({seconds} s) needs {name}_max"
    elif burst and seconds > _MAX // burst:
        yield f"{length_name}_max_length ({seconds} s) is too long for {name}_max"
