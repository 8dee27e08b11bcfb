#!/bin/sh
# Becomes the systemd of a machine of its own: this machine's files under an
# overlay that keeps what is written, and its own processes, network and
# cgroups. It is started in new mount, process, network, name and IPC
# namespaces; $1 is the name of its cgroup.
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root /mnt/cgroup

# The root of the cgroup namespace is the cgroup of who makes it.
mount -t cgroup2 cgroup2 /mnt/cgroup
own=/mnt/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/$1
mkdir "$own"
echo 0 >"$own/cgroup.procs"
umount /mnt/cgroup

mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
	: >"dev/$device"
	mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx

: >etc/machine-id          # systemd makes one
rm -f usr/sbin/policy-rc.d # container images have services not started

# shellcheck disable=SC2016 # it is the inner shell that expands this
exec unshare --cgroup sh -c '
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	exec env -i container=netmirror-test PATH="$PATH" LANG=C.UTF-8 chroot . /lib/systemd/systemd \
		--unit=basic.target --show-status=0'
