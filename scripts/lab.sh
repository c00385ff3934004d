#!/bin/sh
# npm run lab: real hosts with real Docker, as root. Arguments go to vitest.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo 'the lab needs root: sudo npm run lab' >&2; exit 1; }
for tool in dockerd mmdebstrap qemu-aarch64-static update-binfmts systemd-nspawn ssh-keygen podman /usr/lib/podman/netavark nft ip nsenter curl busybox faketime zsh fish dnsmasq; do
  command -v $tool >/dev/null || { echo "$tool is missing: apt-get install docker.io mmdebstrap qemu-user-static binfmt-support systemd-container openssh-client podman netavark runc nftables iproute2 util-linux curl busybox-static faketime zsh fish dnsmasq-base" >&2; exit 1; }
done
./osca _setup
# Programs of the other architecture run through qemu.
if [ "$(uname -m)" != aarch64 ]; then
  [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  update-binfmts --enable qemu-aarch64 2>/dev/null || true
fi
exec node_modules/.bin/node node_modules/vitest/vitest.mjs run -c vitest.lab.config.ts "$@"
