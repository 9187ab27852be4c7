# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# lib.sh - what commands in a guest of the real-* tests are made of.

# A tenth of a second, without a process: starting one takes half as long here.
mkfifo /run/never
exec 8<>/run/never
pause() { read -r -t 0.1 -u 8 || true; }

# poll SECONDS COMMAND...: until it is true, or so long; false then.
poll() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		pause
	done
}

udev_up() {
	/usr/lib/systemd/systemd-udevd --daemon && udevadm trigger --action=add && udevadm settle -t 30
}

# initiator_up NAME: open-iscsi, as that initiator.
initiator_up() {
	modprobe -a iscsi_tcp sd_mod
	echo "InitiatorName=$1" >/etc/iscsi/initiatorname.iscsi
	iscsid
	poll 20 iscsid_answers
}
iscsid_answers() { iscsiadm -m session || [ $? -eq 21 ]; }	# 21: it is there, and has none

# agent_up: hybrid-agent of this build, from the shared folder, with the configuration there; detached from us.
agent_up() {
	mkdir -p /etc/hybrid /var/lib/hybrid
	setsid /host/hybrid-agent --config /host/agent.json >>/host/agent.log 2>&1 </dev/null &
}

# xen_up: what dom0 has running; the console of each domain is logged in the shared folder.
xen_up() {
	local bin=/usr/lib/xen-4.17/bin
	modprobe -a xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-blkback loop
	mount -t xenfs xenfs /proc/xen
	mkdir -p /run/xen /run/xenstored /var/run/xen
	$bin/xenstored --pid-file /run/xen/xenstored.pid
	poll 30 xenstore-read / || return 1
	$bin/xen-init-dom0
	$bin/xenconsoled --log=guest --log-dir=/host --pid-file=/run/xen/xenconsoled.pid
	poll 30 xl list
}

# domain_up NAME [DISK]: a paravirtual domain with the root file system that dom0 has, and perhaps another disk.
domain_up() {
	local more=
	[ -z "${2:-}" ] || more=", \"$2\""
	cat >"/run/$1.cfg" <<-END2
		name = "$1"
		type = "pv"
		kernel = "/boot/vmlinux"
		ramdisk = "/boot/initramfs.cpio"
		extra = "console=hvc0 quiet panic=-1 root=/dev/xvda"
		memory = 192
		vcpus = 1
		on_crash = "destroy"
		disk = [ "phy:/dev/vda,xvda,r"$more ]
	END2
	xl create "/run/$1.cfg"
}

# in_domain NAME N SECONDS COMMAND: says what the domain says, and ends as it does. N counts from 1.
in_domain() {
	local name=$1 n=$2 seconds=$3 log=/host/guest-$1.log
	shift 3
	echo "$n $*" >"$(xenstore-read "/local/domain/$(xl domid "$name")/console/tty")"
	poll "$seconds" grep -q "^=$n= [0-9]" "$log" || { echo "$name does not answer"; return 99; }
	tr -d '\r' <"$log" | sed -n "/^=$n=\$/,/^=$n= /p" | sed '1d;$d'
	return "$(tr -d '\r' <"$log" | sed -n "s/^=$n= //p")"
}
