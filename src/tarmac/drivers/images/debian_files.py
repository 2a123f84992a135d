"""What the Debian cloud image contains besides packages: settings for booting, networking and cloud-init."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from tarmac.drivers.images import grub

COMMAND_LINE = "console=tty0 console=ttyS0,115200n8 quiet"

INCLUDE = (
    # the system
    *("systemd-sysv", "udev", "dbus", "libpam-systemd", "systemd-resolved", "systemd-timesyncd", "kmod", "procps"),
    *("linux-image-amd64", "initramfs-tools", "lz4", "zstd", "e2fsprogs", "fdisk", "ca-certificates", "less"),
    # starting it, from BIOS and from UEFI
    *("grub2-common", "grub-pc-bin", "grub-efi-amd64-bin", "grub-efi-amd64-signed", "shim-signed"),
    # being a guest
    *("cloud-init", "cloud-guest-utils", "qemu-guest-agent", "openssh-server", "sudo"),
    *("iproute2", "iputils-ping", "netbase", "curl"),
)

MASKED = (
    # each wakes a small guest or delays its boot, and a guest that lives long can unmask it
    *(
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "e2scrub_reap.service",
    ),
    # waits for clocks and devices that virtual machines do not have
    *("systemd-pstore.service", "systemd-rfkill.service", "systemd-rfkill.socket"),
)

_INITRAMFS_MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "sr_mod", "ata_piix", "ata_generic", "ahci", "nvme"),
    *("sym53c8xx", "megaraid_sas", "mptspi", "vmw_pvscsi", "ext4", "crc32c_generic", "virtio_net"),
)

_CLOUD = """\
# One look at the drives and no network: a seed drive (NoCloud, ConfigDrive) or nothing.
datasource_list: [NoCloud, ConfigDrive, None]
disable_root: true
ssh_pwauth: false
manage_etc_hosts: true
locale: false
no_ssh_fingerprints: true
# An RSA key takes a small guest seconds, and no client of today needs it.
ssh_genkeytypes: [ed25519, ecdsa]
# The stages without what concerns other systems: each module costs time at every first boot.
cloud_init_modules: [seed_random, bootcmd, write-files, growpart, resizefs, disk_setup, mounts, set_hostname,
  update_hostname, update_etc_hosts, ca-certs, users-groups, ssh]
cloud_config_modules: [ssh-import-id, set-passwords, apt-configure, ntp, timezone, locale, runcmd]
cloud_final_modules: [package-update-upgrade-install, write-files-deferred, scripts-vendor, scripts-per-once,
  scripts-per-boot, scripts-per-instance, scripts-user, phone-home, final-message, power-state-change]
system_info:
  default_user:
    name: debian
    lock_passwd: true
    gecos: Debian
    groups: [adm, sudo, audio, video, plugdev]
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]
    shell: /bin/bash
  network:
    renderers: [networkd]
"""

_SOURCES = """\
Types: deb
URIs: http://deb.debian.org/debian
Suites: {suite} {suite}-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: {suite}-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def early_files() -> Mapping[str, tuple[int, str]]:
    """Path -> (mode, text) of what must be there before the kernel is configured."""
    modules = " ".join(_INITRAMFS_MODULES)
    return {
        "etc/initramfs-tools/conf.d/tarmac": (0o644, "MODULES=list\nCOMPRESS=lz4\n"),
        "etc/initramfs-tools/hooks/tarmac": (
            0o755,
            '#!/bin/sh\n[ "$1" = prereqs ] && exit 0\n. /usr/share/initramfs-tools/hook-functions\n'
            f"for module in {modules}; do manual_add_modules $module; done\n",
        ),
        "etc/kernel-img.conf": (0o644, "do_symlinks = yes\ndo_bootloader = no\n"),
    }


def files(root_uuid: str, efi_uuid: str, suite: str) -> Mapping[str, tuple[int, str]]:
    """Path -> (mode, text) of everything else."""
    return {
        "boot/grub/early.cfg": (0o644, grub.early_configuration(root_uuid)),
        "boot/grub/grub.cfg": (0o644, grub.menu(root_uuid, COMMAND_LINE)),
        "etc/default/grub.d/50-tarmac.cfg": (
            0o644,
            f'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX_DEFAULT=""\nGRUB_CMDLINE_LINUX="{COMMAND_LINE}"\n'
            "GRUB_DISABLE_OS_PROBER=true\n",
        ),
        "etc/fstab": (
            0o644,
            f"UUID={root_uuid} / ext4 errors=remount-ro 0 1\n"
            f"UUID={efi_uuid} /boot/efi vfat umask=0077,nofail,x-systemd.automount,x-systemd.idle-timeout=60 0 0\n",
        ),
        "etc/default/locale": (0o644, "LANG=C.UTF-8\n"),
        "etc/hostname": (0o644, "debian\n"),
        "etc/hosts": (0o644, "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost ip6-loopback\n"),
        "etc/machine-id": (0o444, ""),
        "etc/apt/sources.list.d/debian.sources": (0o644, _SOURCES.format(suite=suite)),
        "etc/cloud/cloud.cfg.d/99_tarmac.cfg": (0o644, _CLOUD),
        # cards that the seed does not name, also those plugged in later
        "etc/systemd/network/90-dhcp.network": (
            0o644,
            "[Match]\nName=en* eth*\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=yes\n",
        ),
        # a guest without a network must not wait two minutes for one
        "etc/systemd/system/systemd-networkd-wait-online.service.d/tarmac.conf": (
            0o644,
            "[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=15\n",
        ),
        # keys are made by cloud-init where there is a seed drive, and here where there is none
        "etc/systemd/system/ssh.service.d/tarmac.conf": (
            0o644,
            "[Service]\nExecStartPre=\nExecStartPre=/bin/sh -c '"
            "ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 || exec ssh-keygen -A'\nExecStartPre=/usr/sbin/sshd -t\n",
        ),
        # asked for by systemd-networkd, of no use in a guest
        "etc/modprobe.d/tarmac.conf": (0o644, "blacklist cfg80211\nblacklist pcspkr\nblacklist floppy\n"),
        "etc/udev/rules.d/80-hotplug-memory.rules": (
            0o644,
            'SUBSYSTEM=="memory", ACTION=="add", ATTR{state}=="offline", ATTR{state}="online"\n'
            'SUBSYSTEM=="cpu", ACTION=="add", TEST=="online", ATTR{online}=="0", ATTR{online}="1"\n',
        ),
        "setup.sh": (0o755, _setup()),
    }


def _setup() -> str:
    """Run once in the new system, at the end: the boot loader's core, masks, and nothing left that must be unique."""
    return (
        "set -e\n"
        "mkdir -p /boot/grub/i386-pc /boot/efi\n"
        "(cd /usr/lib/grub/i386-pc && cp *.mod *.lst boot.img /boot/grub/i386-pc/)\n"
        "grub-mkimage -O i386-pc -o /boot/grub/i386-pc/core.img -c /boot/grub/early.cfg -p /boot/grub"
        f" {' '.join(grub.CORE_MODULES)}\n"
        "systemctl enable systemd-networkd.service systemd-resolved.service\n"
        f"systemctl mask {' '.join(MASKED)}\n"
        "passwd -l root\n"
        "ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf\n"
        "rm -f /etc/ssh/ssh_host_*_key* /var/lib/dbus/machine-id /var/lib/systemd/random-seed\n"
        "rm -f /etc/apt/sources.list /etc/apt/sources.list.d/0*.list /etc/dpkg/dpkg.cfg.d/99mmdebstrap"
        " /etc/apt/apt.conf.d/99mmdebstrap\n"
        "dpkg-query -W -f '${Package} ${Version}\\n' >/usr/share/tarmac-image.txt\n"
        "rm -f /setup.sh /vmlinuz.old /initrd.img.old\n"
    )


def tar(contents: Mapping[str, tuple[int, str]]) -> bytes:
    """The files as a tar archive, owned by root."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, (mode, text) in contents.items():
            data = text.encode()
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = mode, len(data)
            entry.uname = entry.gname = "root"
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()
