#!/usr/bin/env bash
# Makes room for a data partition on a card, or in an image for one, that was written with Raspberry Pi OS and was never
# started: root grows to 8 GB, and the rest becomes the partition gatelight-data. On a computer with Linux, as root.
#
#   card.sh /dev/sdX [--root-gb 8] [--yes]
#   card.sh IMAGE    [--root-gb 8] [--yes]
#
# Needs sfdisk, resize2fs, mkfs.ext4 (Debian: fdisk, e2fsprogs).
set -euo pipefail

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$0"; exit "${1:-0}"; }
fail() { echo "card.sh: $*" >&2; exit 1; }
disk="" root_gb=8 yes="" boot="" loops=()
while [ $# -gt 0 ]; do
    case $1 in
    --root-gb) root_gb=$2; shift 2 ;;
    --yes) yes=1; shift ;;
    --help | -h) usage ;;
    -*) usage 2 >&2 ;;
    *) disk=$1; shift ;;
    esac
done
[ -n "$disk" ] || usage 2 >&2
case $root_gb in '' | *[!0-9]*) fail "--root-gb $root_gb: whole gigabytes" ;; esac
[ "$(id -u)" = 0 ] || fail "run me as root"
[ -e "$disk" ] || fail "there is no $disk"
! grep -q "^$disk" /proc/mounts || fail "$disk is mounted"

clean_up() {
    [ -z "$boot" ] || { umount "$boot" && rmdir "$boot"; }
    [ ${#loops[@]} -eq 0 ] || losetup -d "${loops[@]}"
}
trap clean_up EXIT

# Where partition N begins and how long it is, in sectors of 512 bytes; nothing where there is none.
where() { sfdisk -qlo Start,Sectors "$disk" | sed -n "$(($1 + 1))p"; }
# open N: the partition as a device of its own, in `opened`. The kernel need not have read the table anew for that.
open() {
    local start sectors
    read -r start sectors < <(where "$1") || fail "$disk has no partition $1: is it a Raspberry Pi OS?"
    open_at "$start" "$sectors"
}
open_at() {
    opened=$(losetup --find --show --offset $(($1 * 512)) --sizelimit $(($2 * 512)) "$disk")
    loops+=("$opened")
}
label() { blkid -p -o value -s LABEL "$1" || true; }

if [ -n "$(where 3)" ]; then
    open 3
    [ "$(label "$opened")" = gatelight-data ] || fail "$disk has a third partition, and it is not ours"
    echo "already  $disk has gatelight-data"
    exit
fi
open 2
[ "$(label "$opened")" = rootfs ] || fail "the second partition of $disk is not the root of a Raspberry Pi OS"
read -r start sectors < <(where 2)
size=$((root_gb * 1000000000 / 512 / 8192 * 8192))
if [ -b "$disk" ]; then all=$(blockdev --getsz "$disk"); else all=$(($(stat -c %s "$disk") / 512)); fi
# 2 GB are weeks without a network, and two releases.
[ $((start + size + 2 * 1953125)) -le "$all" ] || fail "$disk is too small for $root_gb GB and 2 GB of data"
[ "$size" -ge "$sectors" ] || fail "root has more than $root_gb GB already: was this card started?"
if [ -z "$yes" ]; then
    sfdisk -l "$disk"
    read -r -p "Change $disk? [y/N] " answer
    [ "$answer" = y ] || exit 1
fi

e2fsck -fp "$opened" >/dev/null || [ $? -le 1 ] || fail "root is damaged: write the card again"
# Cut off anywhere, the next run does the rest: the partition is entered last.
echo ",$size" | sfdisk -q --no-reread --no-tell-kernel --wipe-partitions never -N 2 "$disk"
losetup -d "$opened"
loops=()
open 2
resize2fs "$opened" 2>/dev/null
open_at $((start + size)) $((all - start - size))
mkfs.ext4 -q -F -L gatelight-data -m 1 "$opened"
# The first start would let root grow; it cannot any more, and need not try.
open 1
boot=$(mktemp -d)
mount "$opened" "$boot"
sed -i 's/ resize\b//' "$boot/cmdline.txt"
sync
echo "$((start + size)),$((all - start - size)),L" | sfdisk -q --no-reread --no-tell-kernel --wipe-partitions never --append "$disk"
echo "changed  $disk: root has $root_gb GB, gatelight-data $(((all - start - size) / 1953125)) GB"
