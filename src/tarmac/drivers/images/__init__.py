"""Guest images, built from the distribution's own packages.

A *recipe* (`base.Recipe`) builds one bootable disk image as a qcow2 file; `recipes.RECIPES` lists them. `packages`
fetches and unpacks Debian packages, `disk` lays out partitions and file systems without root, `kernel` and
`initramfs` prepare what `tiny` boots. Nothing here knows storages or guests: a service places the result.
"""
