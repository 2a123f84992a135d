"""A guest that writes the same numbered rounds to two disks, one after the other, each flushed before the next: any
true point in time of both disks together agrees in itself, and anything else does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.daemon import TestDaemon, eventually

PLACES, BLOCK = 64, 8192
FIRST, SECOND = "local:0.09375", "local:0.109375"
"""The two disks as a configuration asks for them. Linux names SCSI disks as it finds them, in any order, so the guest
knows them by their sizes (its own disk has 64 MiB)."""
_FIND = "disk_of() { for d in /sys/block/sd*; do [ $(cat $d/size) = $1 ] && echo /dev/${d##*/}; done; }\n"
_FOUND = f"{_FIND}first=$(disk_of 196608) second=$(disk_of 229376)\n"
_WRITER = f"""{_FOUND}
i=0
while :; do
  i=$((i + 1))
  seq $i $((i + 2000)) | head -c 8192 > /tmp/part
  for disk in $first $second; do
    dd if=/tmp/part of=$disk bs=8192 seek=$((1 + i % 64)) conv=notrunc,fsync 2>/dev/null
    printf '%-512s' $i > /tmp/head
    dd if=/tmp/head of=$disk bs=512 conv=notrunc,fsync 2>/dev/null
  done
  echo $i > /tmp/round
done
"""


def start_writing(daemon: TestDaemon, vmid: int) -> None:
    """Begin, and wait until a few rounds are written."""
    script = f"cat > /tmp/writer <<'END'\n{_WRITER}\nEND\nsetsid sh /tmp/writer > /dev/null 2>&1 < /dev/null &"
    daemon.run(vmid, "sh", "-c", script)
    eventually(lambda: rounds(daemon, vmid) > 3)


def fill(daemon: TestDaemon, vmid: int) -> None:
    """Something more to copy: 24 MiB on each disk, behind the writer's places."""
    words = "dd if=/dev/urandom of=$disk bs=1M seek=2 count=24 conv=notrunc 2>/dev/null"
    daemon.run(vmid, "sh", "-c", f"{_FOUND}for disk in $first $second; do {words}; done")


def rounds(daemon: TestDaemon, vmid: int) -> int:
    """How many rounds the running guest has written."""
    return int(daemon.run(vmid, "sh", "-c", "cat /tmp/round 2>/dev/null || echo 0").strip() or 0)


def written(first: Path, second: Path) -> int:
    """The last round on the two disks' images; fails the test unless they hold one moment, with all data in place."""
    heads = [_check(image) for image in (first, second)]
    assert heads[0] - heads[1] in (0, 1), f"the disks are of different moments: rounds {heads}"
    return heads[1]


def _check(image: Path) -> int:
    raw = image.parent / f"check-{image.name}.raw"
    subprocess.run(["qemu-img", "convert", "-f", image.suffix[1:], "-O", "raw", image, raw], check=True)
    data = raw.read_bytes()
    raw.unlink()
    last = int(data[:512].decode().strip() or 0)
    for number in range(max(1, last - PLACES + 2), last + 1):
        start = (1 + number % PLACES) * BLOCK
        expected = b"".join(b"%d\n" % n for n in range(number, number + 2001))[:BLOCK]
        assert data[start : start + BLOCK] == expected, (
            f"{image.name}: round {number} of {last} is not what was written"
        )
    return last
