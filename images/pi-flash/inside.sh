#!/bin/sh
# Runs once, inside, while the base is built: what needs the network, or takes long.
set -eu
arch=$1 mirror=$2 security=$3 suite=$4
if [ "$arch" = amd64 ]; then
  # A PC starts by GRUB: on UEFI signed, by way of shim; on a BIOS what stands before the first partition. Both read EFI/debian/grub.cfg.
  cd /tmp
  apt-get download -qq shim-signed grub-efi-amd64-signed
  for deb in ./*.deb; do dpkg-deb -x "$deb" loaders; done
  mkdir -p /boot/firmware/EFI/BOOT /boot/firmware/EFI/debian /usr/lib/osca-board
  cp loaders/usr/lib/shim/shimx64.efi.signed /boot/firmware/EFI/BOOT/BOOTX64.EFI
  cp loaders/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed /boot/firmware/EFI/BOOT/grubx64.efi
  cp loaders/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed /usr/lib/osca-board/grubnet.efi
  grub-mkimage -O i386-pc -p '(,msdos1)/EFI/debian' -o core.img biosdisk part_msdos fat normal linux configfile test loadenv
  { head -c 440 /usr/lib/grub/i386-pc/boot.img; head -c 72 /dev/zero; cat core.img; } >/usr/lib/osca-board/bios.img
  rm -rf ./*.deb loaders core.img
  cd /
fi
cat >/etc/apt/sources.list.d/debian.sources <<SOURCES
Types: deb
URIs: $mirror
Suites: $suite $suite-updates $suite-backports
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: $security
Suites: $suite-security
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/0000*
# On a Pi its firmware's files come with it.
unset INITRD
update-initramfs -c -k all
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
