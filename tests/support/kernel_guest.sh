#!/bin/sh
# Process 1 of the guest that `kernel_guest.py` starts: servers on loopback, a volume group, then pytest. Its serial
# line shows what went wrong; what it hands back goes through the virtio port.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
export TARMAC_KERNEL_GUEST=1 TMPDIR=/var/tmp PYTHONPATH=/media/site:/media/tree/src:/media/tree/tests
mount -t proc proc /proc
mount -t sysfs sys /sys
for place in run tmp dev/shm; do
	mkdir -p "/$place"
	mount -t tmpfs -o mode=1777 tmpfs "/$place"
done
mkdir -p /dev/pts && mount -t devpts pts /dev/pts
ln -s /proc/self/fd /dev/fd
exec >/dev/console 2>&1
say() {
	read -r up _ </proc/uptime
	echo "== $up s: $*"
}
hand_back_and_end() {
	port=$(echo /dev/vport*)
	[ -e /run/junit.xml ] && cat /run/junit.xml >"$port"
	say ends
	echo b >/proc/sysrq-trigger
}
trap hand_back_and_end EXIT

say starts
ip link set lo up
echo "127.0.0.1 localhost" >/etc/hosts
hostname kernel
/lib/systemd/systemd-udevd --daemon
udevadm trigger --subsystem-match=block
udevadm settle

# A group on the third disk: half of it a thin pool.
pvcreate -q -ff -y /dev/vdc && vgcreate -q vg /dev/vdc
lvcreate -q -y --type thin-pool -L 2G -n data vg
say volume group

# NFS, to which this node's root is root.
mkdir -p -m 0711 /srv/nfs /srv/squashed /srv/smb
chown nobody:nogroup /srv/squashed
modprobe nfsd
mount -t nfsd nfsd /proc/fs/nfsd
mkdir -p /run/rpc_pipefs /run/sendsigs.omit.d && mount -t rpc_pipefs sunrpc /run/rpc_pipefs
cat >/etc/exports <<-END
	/srv/nfs 127.0.0.1(rw,no_root_squash,no_subtree_check,sync)
	/srv/squashed 127.0.0.1(rw,root_squash,no_subtree_check,sync)
END
rpcbind -w
rpc.statd
exportfs -ra
rpc.nfsd -G 10 -L 10 4
rpc.mountd
echo Y >/proc/fs/nfsd/v4_end_grace
say NFS

# CIFS, where everything belongs to one user of the server.
useradd -M vm && chown vm: /srv/smb
cat >/etc/samba/smb.conf <<-END
	[global]
	server role = standalone server
	interfaces = lo
	bind interfaces only = yes
	disable netbios = yes
	smb ports = 445
	log level = 1
	[vm]
	path = /srv/smb
	read only = no
	valid users = vm
END
printf 'secret\nsecret\n' | smbpasswd -s -a vm
mkdir -p /run/samba /var/log/samba
smbd -D

# What a first mount loads is there before anybody counts seconds.
mkdir /run/try
mount -t nfs 127.0.0.1:/srv/nfs /run/try && umount /run/try
mount -t cifs -o username=vm,password=secret //127.0.0.1/vm /run/try && umount /run/try
say CIFS

cd /media/tree || exit 1
xargs -a /media/words python3 -m pytest -vv --no-header --tb=short --color=no -p no:cacheprovider --junitxml=/run/junit.xml
say "pytest ended with $?"
