#!/usr/bin/env bash
# Puts a hub on a server with Debian 12 or 13, or brings it to this version. As root. For each thing it says `already` or
# `changed`; a second run changes nothing. What a site has configured is never overwritten.
#
#   install.sh [--from FOLDER|WHEEL] [--listen ADDRESS] [--wheels FOLDER] [--no-fonts] [--dry-run]
#   install.sh --back                 the program as it was before the last change
#   install.sh --root FOLDER          only the files, below FOLDER: to look at what would be put where
#
#   --from      this checkout if left out; a wheel needs the checkout's deploy/hub beside this script all the same
#   --listen    where gates reach the broker: an address of this server in the gates' network
#   --wheels    Python packages from this folder alone, without a network
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
from=$(cd "$here/../.." && pwd)
listen="" wheels="" root="" dry="" back="" fonts=1 restart="" venv=()
PACKAGES=(mosquitto python3-venv ca-certificates tzdata)
ROOM_KB=1500000
# shellcheck source-path=SCRIPTDIR source=../installing.sh
. "$here/../installing.sh"

while [ $# -gt 0 ]; do
    case $1 in
    --from) from=$(realpath -e "$2"); shift 2 ;;
    --listen) listen=$2; shift 2 ;;
    --wheels) wheels=$(realpath -e "$2"); shift 2 ;;
    --root) root=$(realpath -e "$2"); shift 2 ;;
    --no-fonts) fonts=""; shift ;;
    --dry-run) dry=1; shift ;;
    --back) back=1; shift ;;
    --help | -h) usage ;;
    *) usage 2 >&2 ;;
    esac
done
case $listen in *[!0-9a-fA-F.:]*) fail "--listen $listen: an address, such as 10.20.0.5" ;; esac

etc=$root/etc
live=/opt/gatelight-hub
install_files() {
    local unit
    put "$here/units/gatelight-hub.sysusers" "$etc/sysusers.d/gatelight-hub.conf" 644
    put "$here/units/gatelight-hub.tmpfiles" "$etc/tmpfiles.d/gatelight-hub.conf" 644
    for unit in "$here"/units/*.service "$here"/units/*.timer; do
        put "$unit" "$etc/systemd/system/$(basename "$unit")" 644
    done
    put "$here/units/mosquitto.service.d/gatelight.conf" "$etc/systemd/system/mosquitto.service.d/gatelight.conf" 644
    put "$here/mosquitto-start.conf" "$etc/systemd/system/mosquitto.service.d/gatelight-config.conf" 644
    put "$here/journald.conf" "$etc/systemd/journald.conf.d/gatelight-hub.conf" 644
    put "$here/logrotate.conf" "$etc/logrotate.d/gatelight-hub" 644
    put "$here/gatelight-hub" "$root/usr/local/bin/gatelight-hub" 755
}

install_site() {
    folder "$etc/gatelight-hub" 750 root gatelight-hub
    folder "$etc/gatelight-hub/pki" 700 gatelight-hub gatelight-hub
    folder "$root/var/lib/gatelight-hub" 700 gatelight-hub gatelight-hub
    folder "$root/var/backups/gatelight-hub" 700 gatelight-hub gatelight-hub
    local id
    id=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
    sed "s/^hub_id = .*/hub_id = \"$id\"/" "$here/hub.toml" | keep "$etc/gatelight-hub/hub.toml" 640 gatelight-hub
    sed "s/^listener 8883 .*/listener 8883 ${listen:-127.0.0.1}/" "$here/mosquitto.conf" |
        keep "$etc/mosquitto/gatelight.conf" 644
    if [ -n "$listen" ] && ! grep -q "^listener 8883 $listen\$" "$etc/mosquitto/gatelight.conf" 2>/dev/null; then
        echo "NOTE     /etc/mosquitto/gatelight.conf has another listener than $listen: change it there"
    fi
}

start() {
    if ! has_systemd; then echo "NOTE     no systemd runs here: nothing was enabled or started"; return; fi
    systemctl daemon-reload
    systemd-tmpfiles --create "$etc/tmpfiles.d/gatelight-hub.conf"
    systemctl --quiet enable gatelight-hub.service gatelight-hub-backup.timer mosquitto.service
    if [ -e /etc/mosquitto/certs/broker.key ]; then
        [ -z "${restart:-}" ] || systemctl try-restart gatelight-hub.service
    else
        # It would fail and be started again until it has its certificate.
        systemctl stop mosquitto.service
    fi
}

check_ground "$ROOM_KB"
if [ -n "$back" ]; then
    go_back "$live"
    echo "NOTE     a database that the newer program has migrated it does not open: see upgrade.md"
else
    if [ -z "$root" ]; then
        [ -z "$fonts" ] || PACKAGES+=(fonts-noto-cjk) # posters have Chinese letters
        install_packages "${PACKAGES[@]}"
    fi
    install_files
    [ -n "$root" ] || make_user gatelight-hub /var/lib/gatelight-hub "$etc/sysusers.d/gatelight-hub.conf"
    install_site
    [ -n "$root" ] || install_program "$live" gatelight-hub "$here/requirements.lock" \
        protocol device hub deploy pyproject.toml README.md LICENSE
fi
[ -n "$dry" ] || start
[ -n "$root$dry$back" ] || [ -e /etc/gatelight-hub/pki/hub.key ] ||
    echo "NOTE     next: /etc/gatelight-hub/hub.toml, then README.md, \"The first day\""
