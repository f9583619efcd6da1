#!/usr/bin/env bash
# Makes a Raspberry Pi with Raspberry Pi OS (64 bit, bookworm or trixie) a gate, or brings it to this version. As root. For
# each thing it says `already` or `changed`; a second run changes nothing. What a site has configured is never overwritten.
#
#   install.sh [--from FOLDER|WHEEL] [--admin NETWORKS] [--publisher FILE] [--wheels FOLDER] [--force] [--dry-run]
#   install.sh --back                 the program as it was before the last change
#   install.sh --root FOLDER          only the files, below FOLDER: for an image, or to look at what would be put where
#
#   --from       this checkout if left out; a wheel needs the checkout's deploy beside this script all the same
#   --admin      who may come in by ssh, such as 10.20.0.0/24,10.30.0.7; nobody if left out
#   --publisher  whose releases it takes by way of the hub: the publisher's root.json. None if left out
#   --wheels     Python packages from this folder alone, without a network
#   --force      on another machine too: without camera and pins
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
from=$(cd "$here/../.." && pwd)
admin="" publisher="" wheels="" root="" dry="" back="" force="" restart=""
# numpy, picamera2 and lgpio are the system's: they were built for each other, for its kernel and its libcamera. What the
# lock names lies in the environment all the same, also where the system has it too.
venv=(--system-site-packages)
export PIP_IGNORE_INSTALLED=1
PACKAGES=(python3-venv python3-numpy libseccomp2 chrony nftables ca-certificates tzdata)
PACKAGES_OF_A_PI=(python3-picamera2 python3-lgpio network-manager polkitd)
ROOM_KB=800000
# shellcheck source-path=SCRIPTDIR source=../installing.sh
. "$here/../installing.sh"

while [ $# -gt 0 ]; do
    case $1 in
    --from) from=$(realpath -e "$2"); shift 2 ;;
    --admin) admin=$2; shift 2 ;;
    --publisher) publisher=$(realpath -e "$2"); shift 2 ;;
    --wheels) wheels=$(realpath -e "$2"); shift 2 ;;
    --root) root=$(realpath -e "$2"); shift 2 ;;
    --force) force=1; shift ;;
    --dry-run) dry=1; shift ;;
    --back) back=1; shift ;;
    --help | -h) usage ;;
    *) usage 2 >&2 ;;
    esac
done
case $admin in *[!0-9.,/]*) fail "--admin $admin: networks, such as 10.20.0.0/24,10.30.0.7" ;; esac
[ -z "$publisher" ] || grep -q '"root"' "$publisher" || fail "--publisher $publisher: this is no root.json"

etc=$root/etc
live=/opt/gatelight
is_pi() { [ -e "$root/etc/rpi-issue" ]; }

check_machine() {
    check_ground "$ROOM_KB"
    [ -z "$root" ] || return 0
    [ -n "$force" ] || is_pi || fail "this is no Raspberry Pi OS (there is no /etc/rpi-issue); --force goes on without camera and pins"
    [ -n "$force" ] || [ "$(uname -m)" = aarch64 ] || fail "this is $(uname -m): the 64-bit Raspberry Pi OS is needed"
    [ -n "$dry" ] || [ -w /usr ] || fail "the root is read-only: gatelight-readonly off, restart, and run me again"
}

packages() {
    if grep -q '^VERSION_ID="\?12' /etc/os-release; then PACKAGES+=(libzbar0); else PACKAGES+=(libzbar0t64); fi
    if is_pi; then PACKAGES+=("${PACKAGES_OF_A_PI[@]}"); fi
    install_packages "${PACKAGES[@]}"
}

shipped_units() { find "$here/units" "$here/system" \( -name '*.service' -o -name '*.path' -o -name '*.timer' \) | sort; }

install_files() {
    local unit
    put "$here/units/gatelight.sysusers" "$etc/sysusers.d/gatelight.conf" 644
    put "$here/units/gatelight.tmpfiles" "$etc/tmpfiles.d/gatelight.conf" 644
    while read -r unit; do put "$unit" "$etc/systemd/system/$(basename "$unit")" 644; done < <(shipped_units)
    put "$here/system/watchdog.conf" "$etc/systemd/system.conf.d/gatelight.conf" 644
    put "$here/system/journald.conf" "$etc/systemd/journald.conf.d/gatelight.conf" 644
    put "$here/system/coredump.conf" "$etc/systemd/coredump.conf.d/gatelight.conf" 644
    put "$here/system/nftables.conf" "$etc/systemd/system/nftables.service.d/gatelight.conf" 644
    put "$here/system/sysctl.conf" "$etc/sysctl.d/90-gatelight.conf" 644
    put "$here/system/modules.conf" "$etc/modules-load.d/gatelight.conf" 644
    put "$here/system/udev.rules" "$etc/udev/rules.d/60-gatelight.rules" 644
    put "$here/system/polkit.rules" "$etc/polkit-1/rules.d/60-gatelight.rules" 644
    put "$here/system/swap.conf" "$etc/rpi/swap.conf.d/gatelight.conf" 644
    put "$here/system/chrony.conf" "$etc/chrony/chrony.conf" 644
    put "$here/firewall.nft" "$etc/gatelight/firewall.nft" 644
    put "$here/readonly.sh" "$root/usr/local/sbin/gatelight-readonly" 755
    put "$here/gatelight-device" "$root/usr/local/bin/gatelight-device" 755
}

# The releases that it takes are the site's decision: made once, by --publisher, and changed in the file.
install_site() {
    local of=bookworm admins="# add element inet gatelight admins { 10.20.0.0/24 }" site=$etc/gatelight/firewall.d/site.nft
    ! grep -q '^VERSION_ID="\?13' "$root/etc/os-release" 2>/dev/null || of=trixie
    if [ -n "$publisher" ]; then keep "$etc/gatelight/publisher.json" 644 <"$publisher"; fi
    if [ -n "$publisher" ] || [ -e "$etc/gatelight/publisher.json" ]; then
        sed "s/^# \(\[update\]\|root = \|platform = \)/\1/; s/^platform = .*/platform = \"$of-aarch64\"/" "$here/device.toml"
    else
        cat "$here/device.toml"
    fi | keep "$etc/gatelight/device.toml" 644
    if [ -n "$publisher" ] && ! grep -qs '^\[update\]' "$etc/gatelight/device.toml" && [ -z "$dry" ]; then
        echo "NOTE     /etc/gatelight/device.toml has no [update]: it takes no releases until you write it there"
    fi
    keep "$etc/chrony/sources.d/gatelight.sources" 644 <"$here/system/chrony.sources"
    [ -z "$admin" ] || admins="add element inet gatelight admins { ${admin//,/, } }"
    sed "s|^# ADMINS\$|$admins|" "$here/firewall-site.nft" | keep "$site" 644
    if [ -e "$site" ] && ! grep -q '^add element inet gatelight admins' "$site"; then
        echo "NOTE     ssh is closed from the next start on: name who may come in ${site#"$root"}"
    fi
}

# The gate's firewall lets nobody fetch packages; while this runs it does. What is opened ends with this, or a restart.
open_firewall() {
    has_systemd && [ -z "$dry" ] && nft list chain inet gatelight updates >/dev/null 2>&1 || return 0
    trap 'nft flush chain inet gatelight updates' EXIT
    nft add rule inet gatelight updates tcp dport '{ 80, 443 }' accept
}

# What stands between our two lines of config.txt is ours, and only that.
install_boot() {
    local config=$root/boot/firmware/config.txt new
    if [ ! -e "$config" ]; then echo "NOTE     there is no /boot/firmware/config.txt: the boot loader was told nothing"; return; fi
    # Where it stands it stays: what a site wrote behind it comes after it.
    new=$(awk -v ours="$here/config.txt" '
        function put() { while ((getline line < ours) > 0) print line; done = 1 }
        /^# gatelight: begin/ { skip = 1; put() }
        !skip { print }
        /^# gatelight: end/ { skip = 0 }
        END { if (!done) put() }' "$config")
    if [ "$new" = "$(cat "$config")" ]; then already /boot/firmware/config.txt; return; fi
    do_it "write /boot/firmware/config.txt" || return 0
    # FAT keeps no journal: the old file stays whole until the new one is on the card.
    printf '%s\n' "$new" >"$config.new"
    sync "$config.new"
    mv -T "$config.new" "$config"
    changed /boot/firmware/config.txt
}

make_users() {
    if getent passwd gatelight >/dev/null && getent passwd gatelight-update >/dev/null; then already "users gatelight, gatelight-update"; return; fi
    do_it "make the users gatelight, gatelight-update" || return 0
    systemd-sysusers "$etc/sysusers.d/gatelight.conf"
    changed "users gatelight, gatelight-update"
}

# What it cannot do without is looked for before a gate is told to start with it.
check_parts() {
    [ -n "$restart" ] && is_pi || return 0
    "$live/bin/python" -c 'import lgpio, picamera2, zxingcpp' ||
        fail "camera, pins or decoder cannot be used: nothing was restarted; install.sh --back takes the one before"
}

enable() {
    local unit units
    mapfile -t units < <(shipped_units | xargs grep -l '^\[Install\]' | xargs -n 1 basename)
    for unit in nftables.service chrony.service "${units[@]}"; do
        if systemctl --quiet is-enabled "$unit" 2>/dev/null; then already "$unit starts with the machine"; continue; fi
        do_it "have $unit start with the machine" || continue
        systemctl --quiet enable "$unit"
        changed "$unit starts with the machine"
    done
}

start() {
    if ! has_systemd; then echo "NOTE     no systemd runs here: nothing was started"; return; fi
    systemctl daemon-reload
    systemd-tmpfiles --create "$etc/tmpfiles.d/gatelight.conf"
    [ -z "$restart" ] || systemctl try-restart gatelight-device.service
    echo "NOTE     what is new for kernel, watchdog, firewall or log holds from the next start of the machine on"
}

check_machine
if [ -n "$back" ]; then
    go_back "$live"
else
    open_firewall
    [ -n "$root" ] || packages
    install_files
    install_site
    install_boot
    if [ -z "$root" ]; then
        make_users
        install_program "$live" gatelight-device "$here/requirements.lock" \
            protocol device hub deploy pyproject.toml README.md LICENSE
        put "$here/units/gatelight-run" "$live/bin/gatelight-run" 755
        [ -n "$dry" ] || check_parts
        enable
    fi
fi
[ -n "$dry" ] || start
