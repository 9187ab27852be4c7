# shellcheck shell=bash disable=SC2034,SC2054,SC2153 # commas are QEMU's; who sources it uses what is not used here
# SPDX-License-Identifier: GPL-2.0-only
# guest.sh - a machine of Debian's packages under QEMU, told what to do from here; for the real-* tests; sourced, after
# manager.sh. Processors are emulated: it is slow, runs everywhere, and nothing outside is touched.
#
# The guest sees this machine's loopback as 10.0.2.2, so tgtd and hybridd stay on the loopback.
IMAGE=${GUEST_IMAGE:-$TOP/build/guest}
SHARED=$WORK/shared
GUEST_SEES=10.0.2.2
GUEST_PID=
GUEST_PORT=	# of this machine's loopback, where the guest's agent is reached
CONSOLE=$WORK/console

# guest_or_skip: the images, and the programs; else the script ends, as skipped.
guest_or_skip() {
	local said status=0
	if [ "${B:-opt}" = asan ]; then
		skip "everything: an emulated machine is too slow for a sanitized build to be waited for"
		summary
		exit 0
	fi
	need qemu-system-x86_64 jq tgtd tgtadm cpio mke2fs xz "$MODULE" "$POOL_TOOL" "$HYBRIDD" "$AGENT" "$VOLUME"
	need_root
	said=$("$TOP/tests/e2e/guest/image" "$IMAGE" 2>&1) || status=$?
	case $status in
	0) ;;
	3)
		skip "everything: Debian's packages for the guest cannot be had: $said"
		summary
		exit 0
		;;
	*) die "no image for the guest: $said" ;;
	esac
}

# share: what the guest finds in /host.
share() { cp "$@" "$SHARED/"; }

# guest_start linux|xen MEMORY_MB [QEMU-ARGUMENT...]: boots it; does not wait.
guest_start() {
	local kind=$1 memory=$2 arguments
	local words="quiet panic=-1 root=/dev/vda"
	shift 2
	mkdir -p "$SHARED"
	GUEST_PORT=$((33000 + RANDOM % 3000))
	while listening "$GUEST_PORT"; do GUEST_PORT=$((GUEST_PORT + 1)); done
	arguments=(-nodefaults -display none -no-reboot -accel tcg,thread=multi -machine q35 -smp 2 -m "$memory"
		-serial "file:$CONSOLE"
		-drive "file=$IMAGE/root.ext4,format=raw,if=virtio,readonly=on,file.locking=off"
		-netdev "user,id=net,hostfwd=tcp:127.0.0.1:$GUEST_PORT-:3269" -device virtio-net-pci,netdev=net
		-virtfs "local,path=$SHARED,mount_tag=host,security_model=none")
	case $kind in
	linux) arguments+=(-cpu max -kernel "$IMAGE/vmlinux" -initrd "$IMAGE/initramfs.cpio"
		-append "console=ttyS0 $words") ;;
	# Paravirtual guests come to harm on an emulated processor that has everything. Commas in words are doubled.
	xen) arguments+=(-cpu qemu64,+svm,+npt -kernel "$IMAGE/xen"
		-append "console=com1 com1=115200,8n1 noreboot=0 dom0_mem=1024M,max:1024M"
		-initrd "$IMAGE/vmlinux console=hvc0 ${words//,/,,},$IMAGE/initramfs.cpio") ;;
	esac
	qemu-system-x86_64 "${arguments[@]}" "$@" >"$WORK/qemu.log" 2>&1 </dev/null &
	GUEST_PID=$!
	CHILDREN+=("$GUEST_PID")
	disown
}

guest_has_answered() { [ -e "$SHARED/$1.rc" ] || ! kill -0 "$GUEST_PID" 2>/dev/null; }
# guest SECONDS COMMAND: runs it in the guest, as bash does; says what it says and ends as it does.
guest() {
	local n=1
	while [ -e "$SHARED/$n.sh" ]; do n=$((n + 1)); done
	echo "$2" >"$SHARED/next"
	mv "$SHARED/next" "$SHARED/$n.sh"
	poll "$1" guest_has_answered "$n" || true
	[ ! -e "$SHARED/$n.out" ] || cat "$SHARED/$n.out"
	[ -e "$SHARED/$n.rc" ] || {
		echo "the guest does not answer: $2"
		tail -qn 5 "$WORK/qemu.log" "$CONSOLE" || true
		return 99
	}
	return "$(cat "$SHARED/$n.rc")"
}

# must WHAT COMMAND...: as does; where it fails, nothing that follows could be true.
must() {
	local failed=$FAILED
	does "$@"
	[ "$FAILED" -eq "$failed" ] || {
		summary
		exit 1
	}
}

# guest_stop: ends it, as pulling the plug would.
guest_stop() {
	kill -9 "$GUEST_PID" 2>/dev/null || true
	GUEST_PID=
}

# guest_agent DELEGATE NAME: hybrid-agent of this build in the guest, with that delegate, known to the manager as NAME.
guest_agent() {
	local pin
	pin=$("$HYBRIDD" --config "$WORK/hybridd.json" --pin)
	share "$AGENT" "$TOP/etc/delegates/$1.json"
	jq -n --arg pin "$pin" --arg delegate "/host/$1.json" \
		'{listen: "0.0.0.0:3269", manager_pin: $pin, delegate: $delegate}' >"$SHARED/agent.json"
	pin=$(guest 30 "mkdir -p /etc/hybrid /var/lib/hybrid && /host/hybrid-agent --config /host/agent.json --init" |
		sed -n 's/^pin: //p')
	guest 30 agent_up || return 1
	poll 60 hv host add "$2" "https://127.0.0.1:$GUEST_PORT" "$pin"
}
