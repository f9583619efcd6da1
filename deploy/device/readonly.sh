#!/usr/bin/env bash
# A root that nothing writes to, and a partition for what must be kept, so that a power cut cannot cost the system. Installed
# as gatelight-readonly. As root. A second run changes nothing. What was changed holds from the next start on.
#
#   gatelight-readonly on       moves state to the data partition (labelled gatelight-data), makes root and boot read-only
#   gatelight-readonly off      root and boot can be written again; state stays where it is
#   gatelight-readonly status   what is set, and what holds now
#   gatelight-readonly ... --root FOLDER   in a mounted card or a folder, its data partition mounted at FOLDER/data
set -euo pipefail
umask 022

LABEL=gatelight-data
# What must outlive a power cut: the gate and its releases; networks that were joined; the clock's drift; the log.
KEPT=(
    /var/lib/gatelight /var/lib/gatelight-firmware /var/lib/NetworkManager /etc/NetworkManager/system-connections
    /var/lib/chrony /var/lib/systemd /var/log/journal
)
# What need not.
PASSING=(/tmp /var/tmp /var/log)
GATE=(gatelight-device.service gatelight-update.service gatelight-update.path gatelight-update-restart.path)

root="" action=""
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$0"; exit "${1:-0}"; }
fail() { echo "gatelight-readonly: $*" >&2; exit 1; }
already() { echo "already  $*"; }
changed() { echo "changed  $*"; again=1; }
again=""
while [ $# -gt 0 ]; do
    case $1 in
    on | off | status) action=$1; shift ;;
    --root) root=$(realpath -e "$2"); shift 2 ;;
    --help | -h) usage ;;
    *) usage 2 >&2 ;;
    esac
done
fstab=$root/etc/fstab
live() { [ -z "$root" ]; }

# The file as it is to be comes from standard input; the old one stays whole until the new one is on the disk.
write() {
    cat >"$1.new"
    if [ -e "$1" ] && cmp -s "$1.new" "$1"; then rm "$1.new"; already "${1#"$root"}"; return; fi
    chmod 644 "$1.new"
    sync "$1.new"
    mv -T "$1.new" "$1"
    changed "${1#"$root"}"
}

mounts() {
    local path
    echo "# gatelight: begin. gatelight-readonly writes what stands between these two lines."
    # nofail: without it a data partition that is broken would keep everybody out who could look at it.
    echo "LABEL=$LABEL /data ext4 noatime,nofail,x-systemd.device-timeout=20s,errors=remount-ro 0 2"
    for path in "${PASSING[@]}"; do echo "tmpfs $path tmpfs nosuid,nodev,size=32m,mode=$(mode "$path") 0 0"; done
    for path in "${KEPT[@]}"; do echo "/data$path $path none bind,nofail,x-systemd.requires-mounts-for=/data 0 0"; done
    echo "# gatelight: end"
}
mode() { case $1 in */tmp) echo 1777 ;; *) echo 0755 ;; esac; }

# table on|off: fstab with root and boot partition as they are to be.
table() {
    sed '/^# gatelight: begin/,/^# gatelight: end/d' "$fstab" | awk -v want="$1" '
        /^[^#]/ && ($2 == "/" || $2 == "/boot/firmware" || $2 == "/boot") {
            count = split($4, given, ","); $4 = ""
            for (at = 1; at <= count; at++) if (given[at] != "ro" && given[at] != "rw") $4 = $4 (($4 == "") ? "" : ",") given[at]
            if ($4 == "") $4 = "defaults"
            if (want == "on") $4 = $4 ",ro"
        }
        { print }'
    mounts
}

# What was begun and cut off is begun again: the old folder goes only when the new one is whole and on the disk.
move() {
    local old=$root$1 new=$root/data$1
    if [ -e "$new" ]; then
        already "$1 on the data partition"
    else
        mkdir -p "$(dirname "$new")" "$old"
        rm -rf "$new.begun"
        cp -a "$old" "$new.begun"
        sync -f "$new.begun"
        mv -T "$new.begun" "$new"
        sync -f "$new"
        changed "$1 on the data partition"
    fi
    # Two copies of a spool or a key are one too many.
    case $1 in
    /var/lib/gatelight*) mountpoint -q "$old" || find "$old" -mindepth 1 -delete ;;
    esac
}

check_ready() {
    grep -Eqs '^[^#]\S*\s+/\s' "$fstab" || fail "$fstab names no root"
    if live; then
        [ "$(id -u)" = 0 ] || fail "run me as root"
        blkid -L $LABEL >/dev/null || fail "no partition is labelled $LABEL: see card.sh, or mkfs.ext4 -L $LABEL on a disk of its own"
    else
        [ -d "$root/data" ] || fail "mount the data partition at $root/data"
    fi
    # What the first start makes must have been made, for no later one can.
    [ "$(wc -c <"$root/etc/machine-id" 2>/dev/null || echo 0)" -ge 32 ] || fail "/etc/machine-id is not set yet: start the Pi once"
    if [ -d "$root/etc/ssh/sshd_config.d" ]; then
        compgen -G "$root/etc/ssh/ssh_host_*_key" >/dev/null || fail "ssh has no host keys yet: start the Pi once"
    fi
    if live && ! mountpoint -q /data; then
        mkdir -p /data
        mount -o noatime "LABEL=$LABEL" /data
    fi
}

make_fixed() {
    # NetworkManager writes the names of servers there instead.
    local resolv=$root/etc/resolv.conf unit
    if [ -d "$root/etc/NetworkManager" ] && [ ! -L "$resolv" ]; then
        ln -sfn /run/NetworkManager/resolv.conf "$resolv"
        changed /etc/resolv.conf
    fi
    if [ -d "$root/etc/cloud" ] && [ ! -e "$root/etc/cloud/cloud-init.disabled" ]; then
        : >"$root/etc/cloud/cloud-init.disabled"
        changed "cloud-init is done"
    fi
    # Packages come by a person with `off`, or with a new card; a swap file cannot be made, and would hold codes.
    for unit in apt-daily.timer apt-daily-upgrade.timer dphys-swapfile.service man-db.timer; do
        if [ -e "$root/usr/lib/systemd/system/$unit" ] && [ ! -L "$root/etc/systemd/system/$unit" ]; then
            ln -s /dev/null "$root/etc/systemd/system/$unit"
            changed "$unit is off"
        fi
    done
    # Without the data partition the gate does not start: it would be another one, without a site.
    mkdir -p "$root/etc/systemd/system/gatelight-device.service.d"
    printf '[Unit]\nRequiresMountsFor=/var/lib/gatelight /var/lib/gatelight-firmware\n' |
        write "$root/etc/systemd/system/gatelight-device.service.d/data.conf"
}

turn_on() {
    local path
    check_ready
    # What is moved must not be written meanwhile; nor afterwards, until the next start has it where it is then.
    if live && ! grep -q "^LABEL=$LABEL /data " "$fstab"; then systemctl stop "${GATE[@]}" 2>/dev/null || true; fi
    for path in "${KEPT[@]}"; do move "$path"; done
    make_fixed
    table on | write "$fstab"
}

turn_off() {
    if ! grep -q "^LABEL=$LABEL " "$fstab"; then already "off"; return; fi
    if live; then mount -o remount,rw /; fi
    table off | write "$fstab"
    for unit in apt-daily.timer apt-daily-upgrade.timer man-db.timer; do
        if [ -L "$root/etc/systemd/system/$unit" ]; then rm "$root/etc/systemd/system/$unit"; changed "$unit is on"; fi
    done
}

status() {
    local set=off now=writable
    ! awk '$2 == "/" && $4 ~ /(^|,)ro(,|$)/ { found = 1 } END { exit !found }' "$fstab" || set=on
    ! live || [ -w / ] || now=read-only
    echo "set      $set"
    live || return 0
    echo "now      root is $now; /data is $(findmnt -no SOURCE,OPTIONS /data || echo "not mounted")"
}

case $action in
on) turn_on ;;
off) turn_off ;;
status) status ;;
*) usage 2 >&2 ;;
esac
if live && [ -n "$again" ]; then echo "NOTE     restart the Pi now: until then the gate stays out of service"; fi
