#!/bin/sh
# base.sh OUT.tar [arm64|amd64]: Debian for every 64-bit Raspberry Pi, or for PCs, without OSCA. Programs of another architecture run under qemu, and take a
# quarter of an hour; else it is a few minutes. Root is needed.
# `osca image build` runs it once, and again when this file, inside.sh or base/ has changed.
set -eu
umask 022
out=$1 arch=${2-arm64}
here=$(cd -- "$(dirname -- "$0")" && pwd)
mirror=${OSCA_MIRROR-http://deb.debian.org/debian}
security=${OSCA_SECURITY_MIRROR-http://deb.debian.org/debian-security}
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

packages='
  systemd systemd-sysv systemd-timesyncd systemd-resolved systemd-zram-generator udev dbus kmod
  initramfs-tools zstd firmware-brcm80211 firmware-ath9k-htc firmware-mediatek
  docker.io docker-cli nftables iptables iproute2 iputils-ping ca-certificates curl
  tzdata openssh-server wpasupplicant iw wireless-regdb batctl
  e2fsprogs dosfstools fdisk util-linux login passwd procps less
'
case $arch in
  arm64) packages="$packages linux-image-arm64/trixie-backports raspi-firmware bluez-firmware" ;;
  amd64) packages="$packages linux-image-amd64 grub-pc-bin firmware-realtek firmware-iwlwifi firmware-atheros intel-microcode amd64-microcode" ;;
  *) echo "base.sh: arm64 or amd64, not $arch" >&2; exit 2 ;;
esac

# What is for routers, phones and phone-like laptops only, and of containerd what Docker does not use.
without=''
for path in mediatek/mt798 mediatek/mt7916 mediatek/mt7996 mediatek/mt8 mediatek/sof ath10k/QCA4019 ath10k/QCA99 ath10k/QCA9888 ath10k/WCN3990 \
  ath11k/IPQ ath11k/QCN9074 ath11k/WCN6750 brcm/brcmfmac4366; do
  without="$without --dpkgopt=path-exclude=/usr/lib/firmware/$path*"
done
for path in ctr containerd-shim containerd-shim-runc-v1; do without="$without --dpkgopt=path-exclude=/usr/bin/$path"; done

# Each kernel package would make an initrd of its own: one at the end does, and takes two minutes under qemu.
TMPDIR=$(dirname -- "$out")
export TMPDIR INITRD=No SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH-0}
# shellcheck disable=SC2086
mmdebstrap --architectures="$arch" --variant=minbase --mode=root --format=tar \
  --include="$(echo $packages | tr ' ' ,)" \
  --aptopt='Apt::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  $without \
  --customize-hook='mkdir -p "$1/boot/firmware"' \
  --customize-hook="tar -C '$here/base' --mode=u+rwX,go=rX -c . | tar -C \"\$1\" -x --no-same-owner" \
  --customize-hook="chroot \"\$1\" sh -s $arch $mirror $security $suite <'$here/inside.sh'" \
  "$suite" "$out" \
  "deb [signed-by=$keyring] $mirror $suite main non-free-firmware" \
  "deb [signed-by=$keyring] $mirror $suite-updates main non-free-firmware" \
  "deb [signed-by=$keyring] $mirror $suite-backports main non-free-firmware" \
  "deb [signed-by=$keyring] $security $suite-security main non-free-firmware"
