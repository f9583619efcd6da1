# What both install.sh say and do; they source it. They have set `root` (a folder instead of /, or nothing), `dry` and
# `here`. For each thing it is said `already` or `changed`; what a site has configured is never overwritten.
# shellcheck shell=bash disable=SC2154,SC2034

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$0"; exit "${1:-0}"; }
fail() { echo "install.sh: $*" >&2; exit 1; }
already() { echo "already  $*"; }
changed() { echo "changed  $*"; }
# Whether to go on with a change: in a dry run it is only told.
do_it() { if [ -n "$dry" ]; then echo "would    $*"; return 1; fi; }

# Where a link points to changes in one step.
point() { ln -s "$1" "$2.new" && mv -T "$2.new" "$2"; }

has_systemd() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then already "Debian packages"; return; fi
    do_it "install ${missing[*]}" || return 0
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    changed "Debian packages: ${missing[*]}"
}

# put SOURCE TARGET MODE: a file of ours, as it is shipped.
put() {
    if [ -f "$2" ] && cmp -s "$1" "$2" && [ "$(stat -c %a "$2")" = "$3" ]; then already "${2#"$root"}"; return; fi
    do_it "write ${2#"$root"}" || return 0
    install -D -m "$3" "$1" "$2"
    changed "${2#"$root"}"
}

# keep TARGET MODE [GROUP]: a file of the site's, from standard input where there is none.
keep() {
    # What is not needed is read all the same: whoever writes it would be ended by a closed pipe.
    if [ -e "$1" ]; then cat >/dev/null; already "${1#"$root"} (the site's own)"; return; fi
    do_it "write ${1#"$root"}" || { cat >/dev/null; return 0; }
    mkdir -p "$(dirname "$1")"
    cat >"$1.new"
    chmod "$2" "$1.new"
    [ -z "${3:-}" ] || [ -n "$root" ] || chgrp "$3" "$1.new"
    mv -T "$1.new" "$1"
    changed "${1#"$root"}"
}

# folder PATH MODE OWNER GROUP
folder() {
    if [ -d "$1" ]; then already "${1#"$root"}"; return; fi
    do_it "make ${1#"$root"}" || return 0
    if [ -n "$root" ]; then install -d -m "$2" "$1"; else install -d -m "$2" -o "$3" -g "$4" "$1"; fi
    changed "${1#"$root"}"
}

# make_user NAME HOME SYSUSERS-FILE
make_user() {
    if getent passwd "$1" >/dev/null; then already "user $1"; return; fi
    do_it "make the user $1" || return 0
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers "$3"
    else
        useradd --system --user-group --home-dir "$2" --no-create-home --shell /usr/sbin/nologin "$1"
    fi
    changed "user $1"
}

# install_program LIVE PROGRAM LOCK NAME...: a virtual environment with LOCK's packages and `from`, of whose checkout it
# takes NAMEs. Each has a folder of its own, named after what is in it; LIVE points to the one in force, LIVE.previous to
# the one before. `venv` holds options for python3 -m venv, `wheels` a folder of packages to do without a network.
install_program() {
    local live=$1 program=$2 lock=$3 stamp version target source old
    shift 3
    if [ -d "$from" ]; then
        stamp=$(cd "$from" && find "$@" -type f ! -path '*__pycache__*' -print0 | sort -z | xargs -0 sha256sum |
            cat - "$lock" | sha256sum | cut -c1-12)
        version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$from/pyproject.toml" | head -1)
    else
        stamp=$(cat "$from" "$lock" | sha256sum | cut -c1-12)
        version=$(basename "$from" | cut -d- -f2)
    fi
    target=$live-$version-$stamp
    if [ "$(readlink "$live" || true)" = "$target" ]; then already "program $version ($stamp)"; return; fi
    do_it "install the program $version ($stamp)" || return 0
    if [ ! -e "$target/complete" ]; then
        rm -rf "$target" "$target.source"
        python3 -m venv "${venv[@]}" "$target"
        source=$from
        if [ -d "$from" ]; then
            # Building writes beside what it builds.
            mkdir "$target.source"
            (cd "$from" && tar -c --exclude=__pycache__ "$@") | tar -x -C "$target.source"
            source=$target.source
        fi
        local pip=("$target/bin/python" -m pip --disable-pip-version-check install --quiet --no-cache-dir)
        [ -z "$wheels" ] || pip+=(--no-index --find-links "$wheels")
        "${pip[@]}" --require-hashes --no-deps --only-binary :all: -r "$lock"
        "${pip[@]}" --no-deps "$source"
        rm -rf "$target.source"
        "$target/bin/$program" --help >/dev/null || fail "the program does not start; nothing was switched"
        touch "$target/complete"
    fi
    if [ -L "$live" ]; then point "$(readlink "$live")" "$live.previous"; fi
    point "$target" "$live"
    changed "program $version ($stamp)"
    for old in "$live"-*; do
        case $old in "$target" | "$(readlink "$live.previous" || true)") ;; *) rm -rf "$old" ;; esac
    done
    restart=1
}

# go_back LIVE
go_back() {
    local live=$1 now before
    [ -L "$live.previous" ] || fail "there is no program before this one"
    now=$(readlink "$live") before=$(readlink "$live.previous")
    do_it "go back to $before" || return 0
    point "$before" "$live"
    point "$now" "$live.previous"
    changed "program $(basename "$before")"
    restart=1
}

# check_ground KB: the systems that this is for, and room for so much
check_ground() {
    [ -z "$root" ] || return 0
    [ "$(id -u)" = 0 ] || fail "run me as root"
    local id version
    id=$(sed -n 's/^ID=//p' /etc/os-release | tr -d '"') version=$(sed -n 's/^VERSION_ID=//p' /etc/os-release | tr -d '"')
    case "$id $version" in
    "debian 12" | "debian 13" | "raspbian 12" | "raspbian 13") ;;
    *) fail "this is $id $version: Debian or Raspberry Pi OS, 12 or 13, is needed" ;;
    esac
    [ "$(df --output=avail -k /opt | tail -1)" -ge "$1" ] || fail "/opt: less than $(($1 / 1000)) MB are free"
}
