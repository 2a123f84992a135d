"""Storages whose volumes are no files: images of a pool (`storage.BlockStorage`), or what a server offers (`offered`).

A new one is one file here: the exact commands of its tool and how to read their output (`commands.BlockCommands`), and
a `build` function, which `drivers/storage/build.py` registers.
"""
