#!/bin/sh
# npm run image:test: images are built and started in emulated machines, as root. Arguments go to vitest.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo 'images need root: sudo npm run image:test' >&2; exit 1; }
for tool in qemu-system-x86_64 qemu-system-aarch64 mmdebstrap arch-test mkfs.vfat mcopy mke2fs sfdisk zstd dnsmasq ip ssh-keygen /usr/share/OVMF/OVMF_CODE_4M.fd; do
  [ -e "$tool" ] || command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install qemu-system-x86 qemu-system-arm ovmf mmdebstrap arch-test debian-archive-keyring qemu-user-static binfmt-support dosfstools mtools e2fsprogs fdisk zstd dnsmasq-base iproute2 openssh-client" >&2; exit 1; }
done
./osca _setup
exec node_modules/.bin/node node_modules/vitest/vitest.mjs run -c vitest.image.config.ts "$@"
