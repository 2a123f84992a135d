"""Freezing a running machine and running others from it: instant clones.

A *live state* is one volume with the machine as it ran, its device state and its RAM; clones map one sealed copy of
that RAM privately (copy on write), so what they share is there once.

    machine.py      the machine as it ran, and the command line of one that goes on from there: pure
    state_file.py   the volume's bytes (docs/format/live-state.md); standard library only
    fill.py         the short-lived process that reads RAM from the volume into memory
    memory.py       memory files: made, filled, sealed, found again
    freeze.py       the source's side: hold it, write its device state out
    restore.py      the clone's side: start, feed the device state, let it run
"""
