/* SPDX-License-Identifier: GPL-2.0-only */
/* agent_fakes.h - xl, xenstore-read, virsh and iscsiadm as far as the agent sees them, over files in DIR.
 *
 * Their texts and exit statuses are those of Xen 4.17, libvirt 9.0 and open-iscsi 2.1.8. Each call is a line in
 * DIR/log, with its arguments. DIR/busy: the guest does not let go. DIR/slow, DIR/broken: as it says.
 */
#ifndef HB_TESTS_DAEMON_AGENT_FAKES_H
#define HB_TESTS_DAEMON_AGENT_FAKES_H

/* DIR/dom/VM/DEVICE has the path; the devices are xvdf and xvdg. */
#define FAKE_XL \
	"echo \"xl $*\" >>$DIR/log\n" \
	"vdev() { case $1 in xvdf) echo 51792;; xvdg) echo 51808;; esac; }\n" \
	"need() { [ -d $DIR/dom/$1 ] || { echo \"$1 is an invalid domain identifier (rc=-6)\" >&2; exit 1; }; }\n" \
	"case $1 in\n" \
	"list) printf 'Name   ID   Mem VCPUs\\tState\\tTime(s)   UUID   Reason-Code\\tSecurity Label\\n'\n" \
	"  printf 'Domain-0   0  4096  4  r-----  11794.3 00000000-0000-0000-0000-000000000000  -  -\\n'\n" \
	"  printf 'web-1      7  2048  2  -b----     10.5 6695eb01-f6a4-8304-79aa-97f2502e193f  -  -\\n'\n" \
	"  printf 'has blank  8  2048  2  -b----     10.5 6695eb01-f6a4-8304-79aa-97f2502e193e  -  -\\n' ;;\n" \
	"block-list) need $2; echo 'Vdev  BE  handle state evt-ch ring-ref BE-path'\n" \
	"  for d in $DIR/dom/$2/*; do [ -f $d ] || continue\n" \
	"    n=$(vdev ${d##*/}); printf '%-5d %-3d %-6d %-5d %-6d %-8d %-30s\\n' $n 0 7 4 9 8 \\\n" \
	"      /local/domain/0/backend/vbd/7/$n; done ;;\n" \
	"block-attach) need $2; [ -f $DIR/broken ] && { echo 'libxl: error: no script' >&2; exit 1; }\n" \
	"  [ -f $DIR/dom/$2/$4 ] && { echo 'libxl: error: libxl_device.c:1: device already exists in xenstore' >&2\n" \
	"    echo 'libxl_device_disk_add failed.' >&2; exit 1; }\n" \
	"  echo ${3#phy:} >$DIR/dom/$2/$4; [ -f $DIR/slow ] && exec sleep 1000; exit 0 ;;\n" \
	"block-detach) force=; [ $2 = --force ] && { force=1; shift; }; need $2\n" \
	"  [ -f $DIR/dom/$2/$3 ] || { echo \"Error: Device $3 not connected.\" >&2; exit 1; }\n" \
	"  [ -f $DIR/busy ] && [ -z $force ] && { echo 'libxl_device_disk_safe_remove failed.' >&2; exit 1; }\n" \
	"  rm $DIR/dom/$2/$3 ;;\n" \
	"*) exit 2 ;;\nesac\n"

#define FAKE_XENSTORE_READ \
	"case $1 in *51792/params) d=xvdf;; *51808/params) d=xvdg;; *) exit 1;; esac\n" \
	"cat $DIR/dom/web-1/$d\n"

/* DIR/dom/VM/DEVICE has the source, DIR/xml what came last; a detach is only asked for, and happens when DIR/busy is
 * not there. */
#define FAKE_VIRSH \
	"echo \"virsh $*\" >>$DIR/log; [ $1 = -q ] && shift\n" \
	"need() { [ -d $DIR/dom/$1 ] || { echo \"error: failed to get domain '$1'\" >&2; exit 1; }; }\n" \
	"case $1 in\n" \
	"list) ls $DIR/dom; echo ;;\n" \
	"dominfo) need $2; printf 'Id:             2\\nName:           %s\\n' $2\n" \
	"  printf 'UUID:           40743d5e-4ee3-41f2-9c8f-3d704c8f6d28\\nOS Type:        linux\\n'\n" \
	"  printf 'State:          shut off\\nCPU(s):         2\\nMax memory:     8388608 KiB\\n'\n" \
	"  printf 'Used memory:    2097152 KiB\\nSecurity DOI:   \\n' ;;\n" \
	"domblklist) need $2; echo ' file   disk   vda   /guest/diskimage1'\n" \
	"  for d in $DIR/dom/$2/*; do [ -f $d ] && echo \" network   disk   ${d##*/}   $(cat $d)\"; done; exit 0 ;;\n" \
	"attach-device) need $2; cp $3 $DIR/xml; dev=$(sed -n \"s/.*<target dev='\\([a-z]*\\)'.*/\\1/p\" $3)\n" \
	"  [ -f $DIR/dom/$2/$dev ] && { echo \"error: Failed to attach device from $3\" >&2\n" \
	"    echo \"error: operation failed: target $dev already exists\" >&2; exit 1; }\n" \
	"  sed -n \"s/.*<source .*\\(dev\\|name\\)='\\([^']*\\)'.*/\\2/p\" $3 >$DIR/dom/$2/$dev ;;\n" \
	"detach-disk) need $2; [ -f $DIR/dom/$2/$3 ] || {\n" \
	"    echo \"error: No disk found whose source path or target is $3\" >&2; exit 1; }\n" \
	"  [ -f $DIR/busy ] || rm $DIR/dom/$2/$3 ;;\n" \
	"secret-define) cp $2 $DIR/secret.xml ;;\n" \
	"secret-set-value) cat $4 >$DIR/secret.value ;;\n" \
	"secret-undefine) [ -f $DIR/secret.xml ] || { echo 'error: failed to get secret' >&2; exit 1; }\n" \
	"  rm -f $DIR/secret.xml $DIR/secret.value ;;\n" \
	"*) exit 2 ;;\nesac\n"

/* DIR/session/PORTAL: logged in. DIR/deny: the target refuses. DIR/unreachable has a portal. */
#define FAKE_ISCSIADM \
	"echo \"iscsiadm $*\" >>$DIR/log\n" \
	"mkdir -p $DIR/session\n" \
	"if [ \"$2\" = session ]; then\n" \
	"  [ \"$(ls $DIR/session)\" ] || { echo 'iscsiadm: No active sessions.' >&2; exit 21; }\n" \
	"  for s in $DIR/session/*; do echo \"tcp: [1] ${s##*/},1 $(cat $s) (non-flash)\"; done; exit 0\n" \
	"fi\n" \
	"t=$4 p=${6%,1}; a=${p%:*}; a=${a#[}; a=${a%]}; r=$DIR/iscsi/nodes/$t/$a,${p##*:},1\n" \
	"l=$DIR/by-path/ip-$a:${p##*:}-iscsi-$t-lun-1\n" \
	"case \"$7 $8\" in\n" \
	"'-o new') mkdir -p $r; { echo '# BEGIN RECORD 2.1.8'; echo \"node.name = $t\"\n" \
	"  echo 'node.session.auth.authmethod = None'; echo 'node.session.auth.chap_algs = MD5'\n" \
	"  echo '# END RECORD'; } >$r/default ;;\n" \
	"'-o delete') [ -d $r ] || exit 21; rm -r $r ;;\n" \
	"'--login ') [ -f $r/default ] || exit 21; [ -f $DIR/deny ] && exit 24\n" \
	"  [ \"$(cat $DIR/unreachable 2>/dev/null)\" = $p ] && exit 8\n" \
	"  [ -f $DIR/session/$p ] && exit 15\n" \
	"  echo $t >$DIR/session/$p; [ -f $DIR/nodisk ] || ln -s /dev/null $l ;;\n" \
	"'--logout ') [ -f $DIR/session/$p ] || exit 21; rm $DIR/session/$p; rm -f $l ;;\n" \
	"'-R ') [ -f $DIR/session/$p ] || exit 21 ;;\n" \
	"*) exit 7 ;;\nesac\n"

#endif
