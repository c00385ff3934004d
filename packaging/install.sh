#!/bin/sh
# Makes this machine a cell of an OSCA appliance:
#
#   curl -fsSL URL/install.sh | sudo sh                              found an appliance, or wait for approval where one is heard
#   curl -fsSL URL/install.sh | sudo sh -s -- --ticket osca1-…       join the appliance that the ticket is for
#   sudo sh install.sh --package ./osca_0.1.0_arm64.deb              from a file
#
# URL is where somebody put what `npm run package -- --url URL` made.
#
# It installs one package (and Docker from this system's own packages, where no engine is there), starts its service, and
# waits until the cell is up. Run again, it changes nothing that is as it should be. `apt-get purge osca` takes it away.
set -eu
version=0.1.0
url=${OSCA_URL-}
ticket=${OSCA_TICKET-} package= engine=1

say() { printf '%s\n' "osca: $*"; }
fail() { printf '%s\n' "osca: $1" "  $2" >&2; exit 1; }
usage() { sed -n '2,11s/^# \{0,1\}//p' "$0" 2>/dev/null || true; printf '%s\n' 'Options: --ticket T  --package FILE  --url URL  --no-engine'; }

# All of it is here before any of it runs.
main() {
  while [ $# -gt 0 ]; do
    case $1 in
      --ticket) ticket=${2?--ticket needs one}; shift 2 ;;
      --package) package=${2?--package needs a file}; shift 2 ;;
      --url) url=${2?--url needs one}; shift 2 ;;
      --no-engine) engine=0; shift ;;
      -h | --help) usage; exit 0 ;;
      *) fail "'$1' is no option" 'known are --ticket T, --package FILE, --url URL, --no-engine' ;;
    esac
  done

  [ "$(id -u)" = 0 ] || fail 'root is needed to install a package' 'run it again with sudo'
  ID=unknown VERSION_ID=0 PRETTY_NAME='this system'
  [ ! -r /etc/os-release ] || . /etc/os-release
  like=" $ID ${ID_LIKE-} "
  case $like in *' debian '* | *' ubuntu '*) ;; *) fail "$PRETTY_NAME has no Debian packages" 'Debian 12 and later, Ubuntu 22.04 and later and Raspberry Pi OS do; elsewhere run it from a checkout: ./osca up' ;; esac
  major=${VERSION_ID%%.*}
  case $ID in
    debian | raspbian) [ "${major:-99}" -ge 12 ] || fail "$PRETTY_NAME is too old" 'Debian 12 or later is needed' ;;
    ubuntu) [ "${major:-99}" -ge 22 ] || fail "$PRETTY_NAME is too old" 'Ubuntu 22.04 or later is needed' ;;
  esac
  arch=$(dpkg --print-architecture)
  case $arch in amd64 | arm64) ;; *) fail "there is no package for $arch" 'x64 and arm64 are supported; a Raspberry Pi needs a 64-bit system' ;; esac
  say "1/4 this machine: $PRETTY_NAME, $arch"

  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM HUP
  installed=$(dpkg-query -W -f '${Status} ${Version}' osca 2>/dev/null || true)
  if [ -z "$package" ] && [ "$installed" = "install ok installed $version" ]; then
    say "2/4 osca $version is installed"
  else
    if [ -z "$package" ]; then
      [ -n "$url" ] || fail 'it is not known where the packages are' 'say it: --url URL, or --package FILE'
      package=$work/osca_${version}_$arch.deb
      say "2/4 fetching ${package##*/}"
      fetch() { curl -fsSL --retry 3 -o "$2" "$1" || fail "$1 can't be had" 'is the machine online? then try again'; }
      command -v curl >/dev/null || fail 'curl is missing' 'apt-get install curl'
      fetch "$url/${package##*/}" "$package"
      fetch "$url/SHA256SUMS" "$work/SHA256SUMS"
      (cd "$work" && grep " ${package##*/}\$" SHA256SUMS | sha256sum -c --status) ||
        fail "${package##*/} is not what its checksum says" 'fetch it again; if it stays so, somebody changed it on its way'
    else
      [ -r "$package" ] || fail "$package can't be read" 'check the path'
      [ "$(dpkg-deb -f "$package" Architecture)" = "$arch" ] || fail "$package is not for $arch" "take osca_${version}_$arch.deb"
      say "2/4 $package"
    fi
    # Where it belongs to no appliance yet, its first start joins by this.
    if [ -n "$ticket" ] && [ ! -e /var/lib/osca/osca.db ]; then
      install -d -m 700 /var/lib/osca
      (umask 077 && printf '%s\n' "$ticket" >/var/lib/osca/ticket)
    fi
    has_engine() { command -v dockerd >/dev/null || command -v podman >/dev/null; }
    recommends=--no-install-recommends
    if [ "$engine" = 1 ] && ! has_engine; then recommends=--install-recommends; fi
    say '3/4 installing'
    case $package in /* | ./*) ;; *) package=./$package ;; esac
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    # What was broken off before, here or elsewhere, is brought to its end first.
    [ -z "$(dpkg --audit)" ] || dpkg --configure -a >"$work/apt.log" 2>&1 || true
    # A fresh machine looks for updates by itself, and has no lists before.
    apt() { apt-get -q -o DPkg::Lock::Timeout=300 "$@" >>"$work/apt.log" 2>&1; }
    [ $recommends = --no-install-recommends ] || apt update || true
    apt install -y $recommends "$package" || { apt update && apt install -y $recommends "$package"; } || {
      tail -n 15 "$work/apt.log" >&2
      fail 'apt-get could not install it' 'mend what it says, and run this again'
    }
    if [ "$engine" = 1 ] && ! has_engine; then say 'no engine could be installed: plain processes only, until apt-get install docker.io'; fi
  fi
  [ -d /run/systemd/system ] || { say 'systemd does not run here: start the cell with: osca up'; exit 0; }
  systemctl is-active --quiet osca.service || systemctl start osca.service || fail 'the cell did not start' 'journalctl -u osca says why'
  phase() { osca status --json | sed -n 's/.*"phase": *"\([a-z]*\)".*/\1/p'; }
  if [ -n "$ticket" ]; then
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ "$(phase)" != member ] || break; sleep 1; done
    # It was told of another ticket before, or of none, or belongs to another appliance.
    OSCA_TICKET=$ticket osca join >"$work/join" 2>&1 || grep -q 'is a member already' "$work/join" || {
      cat "$work/join" >&2
      ! grep -q 'belongs to appliance' "$work/join" || fail 'this machine belongs to another appliance' 'take it out of that: apt-get purge osca; then run this again'
      fail 'the cell is up, and could not join' 'make a new ticket on a member: osca ticket create'
    }
  fi
  rm -f /var/lib/osca/ticket
  # It listens for others for three seconds before it founds an appliance.
  for _ in 1 2 3 4 5 6 7 8 9 10; do case $(phase) in member | waiting) break ;; esac; sleep 1; done
  say '4/4 the cell is up'
  osca status
}
main "$@"
