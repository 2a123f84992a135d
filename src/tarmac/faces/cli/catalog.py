"""The hand-written commands: which module and function each is, without importing any of them.

A command is written by hand where it is more than one call of the API; all others come from the API's declarations.
`passes_on`: so many positional words belong to the command, what follows (or stands behind `--`) is handed on as it is.
"""

from __future__ import annotations

from typing import NamedTuple

NOUNS: dict[str, str] = {
    "vm": "virtual machines",
    "image": "images to make guests from",
    "storage": "storages and their volumes",
    "datacenter": "settings of the whole cluster",
    "node": "this host and its peers",
    "task": "long work: follow it, end it",
    "user": "users",
    "token": "API tokens",
    "tfa": "second factors of logins",
    "realm": "where users come from",
    "realm-job": "realms that are synchronized by the calendar",
    "group": "groups of users",
    "role": "what users may do, by name",
    "pool": "guests and storages that are granted together",
    "zone": "zones of networks, and applying what is defined",
    "vnet": "virtual networks, and whose address is which",
    "subnet": "subnets of virtual networks",
    "acme": "certificates from an authority",
    "metric-server": "where figures are sent",
    "history": "changes of users, grants, pools, storages, options",
    "snapshot-schedule": "snapshots that are taken by the calendar",
    "audit": "who changed what, from where",
}


class Entry(NamedTuple):
    """A command's module in `written/`, its function (`<function>_options` declares its parser's options), and a line
    of help."""

    module: str
    function: str
    help: str
    usage: str = ""
    passes_on: int | None = None


HAND_WRITTEN: dict[str, Entry] = {
    "up": Entry("up", "up", "From nothing to a running guest: daemon, image, guest; goes on from where things stand."),
    "serve": Entry("serve", "serve", "Run the daemon in the foreground.", "tarmac serve [options]"),
    "install-service": Entry(
        "service", "install", "Have systemd run the daemon, and stop guests in order at power-off."
    ),
    "uninstall": Entry("service", "uninstall", "Take the systemd units away again; guests and data stay."),
    "completion": Entry("completion", "completion", "Print the completion script for bash, zsh or fish."),
    "complete": Entry(
        "completion", "complete", "What could come next on a command line (for completion scripts).", "", 0
    ),
    "version": Entry("version", "version", "Print this program's version, and the daemon's if one answers."),
    "login-link": Entry("up_report", "login_link", "A link that logs root@pam in once, for whoever is on the machine."),
    "events": Entry("events", "events", "What changes, as it changes; with --output json a message a line."),
    "vm create": Entry("vm_create", "create", "Create a guest from an image, with disk, network and login."),
    "vm start": Entry("vm_many", "start", "Start a guest, several, those of a pool, or all."),
    "vm shutdown": Entry("vm_many", "shutdown", "Shut down a guest, several, those of a pool, or all."),
    "vm suspend": Entry("vm_many", "suspend", "Suspend a guest, several, those of a pool, or all."),
    "node set-certificate": Entry("certificate", "set_certificate", "Show a certificate of one's own, from files."),
    "tfa totp": Entry("tfa", "totp", "Have a user's logins ask for a code of an authenticator program."),
    "tfa recovery": Entry("tfa", "recovery", "Make recovery keys for a user; they are shown this once."),
    "vm cloudinit-set": Entry(
        "cloudinit", "set_document", "Give a guest a cloud-init document of one's own, from a file."
    ),
    "vm undo": Entry("undo", "of_guest", "Undo the last change of a guest's configuration, or an earlier one."),
    "task undo": Entry("undo", "of_task", "Undo what a task did, where that is possible."),
    "history undo": Entry("undo", "of_change", "Undo a change of users, grants, pools, storages or options."),
    "vm console": Entry("console", "console", "The guest's serial console in this terminal; leave with Ctrl-]."),
    "vm exec": Entry(
        "vm",
        "execute",
        "Run a command in the guest, through its agent.",
        "tarmac vm exec [options] GUEST [--] COMMAND...",
        1,
    ),
    "vm ssh": Entry(
        "ssh", "ssh", "Log in to the guest by ssh.", "tarmac vm ssh [options] GUEST [--] [ssh's words...]", 1
    ),
    "vm cp": Entry("vm_copy", "copy", "Copy a file into or out of a guest, through its agent: GUEST:PATH is one end."),
    "vm screenshot": Entry("vm", "screenshot", "Save what the guest's screen shows as a PNG file."),
    "vm showcmd": Entry("showcmd", "showcmd", "Print the QEMU command line of a guest, or of a configuration file."),
    "vm export-disk": Entry("export", "disk", "Download a disk of a stopped guest, or of a snapshot, as a file."),
    "storage export": Entry("export", "volume", "Download a disk image as a file, in a format of one's choice."),
    "image build": Entry("image", "build", "Build an image from its recipe: tiny, debian-12."),
    "image pull": Entry("image", "pull", "Download an image by its address into a storage."),
    "image list": Entry("image", "list_images", "The images that are there."),
    "storage upload": Entry("storage", "upload", "Upload an ISO or a disk image into a storage."),
    "task list": Entry("task", "list_tasks", "Tasks, running ones too, the newest first."),
    "task follow": Entry("task", "follow", "Print a task's log while it runs; exit as it ends."),
    "task log": Entry("task", "log", "Print a task's whole log."),
    "token add": Entry("user", "token_add", "Make an API token for a user; its secret is shown this once."),
    "user add": Entry("user", "user_add", "Add a user; asks for the password where the realm takes one."),
    "user passwd": Entry("user", "passwd", "Set a user's password."),
}
HIDDEN = {"complete"}
