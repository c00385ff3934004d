#!/bin/sh
# base.sh OUT.tar: Debian for every 64-bit Raspberry Pi, without OSCA: a quarter of an hour, most of it programs of another architecture under qemu. Root is needed.
# `osca image build` runs it once, and again when something here or in overlay/ has changed.
set -eu
umask 022
out=$1
here=$(cd -- "$(dirname -- "$0")" && pwd)
mirror=${OSCA_MIRROR-http://deb.debian.org/debian}
security=${OSCA_SECURITY_MIRROR-http://deb.debian.org/debian-security}
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

packages='
  systemd systemd-sysv systemd-timesyncd systemd-resolved systemd-zram-generator udev dbus kmod
  linux-image-arm64/trixie-backports raspi-firmware firmware-brcm80211 bluez-firmware initramfs-tools zstd
  docker.io docker-cli nftables iptables iproute2 iputils-ping ca-certificates curl
  tzdata openssh-server wpasupplicant iw wireless-regdb batctl
  e2fsprogs dosfstools fdisk util-linux login passwd procps less
'

# Each kernel package would make an initrd of its own: one at the end does, and takes two minutes under qemu.
TMPDIR=$(dirname -- "$out")
export TMPDIR INITRD=No SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH-0}
# shellcheck disable=SC2086
mmdebstrap --architectures=arm64 --variant=minbase --mode=root --format=tar \
  --include="$(echo $packages | tr ' ' ,)" \
  --aptopt='Apt::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook='mkdir -p "$1/boot/firmware"' \
  --customize-hook="tar -C '$here/overlay' --mode=u+rwX,go=rX -c . | tar -C \"\$1\" -x --no-same-owner" \
  --customize-hook="chroot \"\$1\" sh /usr/lib/osca-board/prepare $mirror $security $suite" \
  "$suite" "$out" \
  "deb [signed-by=$keyring] $mirror $suite main non-free-firmware" \
  "deb [signed-by=$keyring] $mirror $suite-updates main non-free-firmware" \
  "deb [signed-by=$keyring] $mirror $suite-backports main non-free-firmware" \
  "deb [signed-by=$keyring] $security $suite-security main non-free-firmware"
