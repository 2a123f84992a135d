"""Files and disks that come in and go out: uploads, downloads, images that are built, exports."""
