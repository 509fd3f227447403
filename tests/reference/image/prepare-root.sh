#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
# Run by mmdebstrap with the new root as $1: gives a plain Debian tree the shape that ostree deploys.
set -eu
root=$1

kver=$(ls "$root/usr/lib/modules")
mv "$root/boot/vmlinuz-$kver" "$root/usr/lib/modules/$kver/vmlinuz"
rm -rf "${root:?}"/boot/* "${root:?}"/vmlinuz* "${root:?}"/initrd.img*

# The package database describes /usr, so it travels with it and not with the machine's /var.
mkdir -p "$root/usr/lib/sysimage"
mv "$root/var/lib/dpkg" "$root/usr/lib/sysimage/dpkg"
ln -s ../../usr/lib/sysimage/dpkg "$root/var/lib/dpkg"

for pair in root:roothome home:home srv:srv opt:opt mnt:mnt usr/local:usrlocal; do
    link=$root/${pair%%:*} real=var/${pair#*:}
    rm -rf "$link"
    case $link in "$root"/usr/*) ln -s "../$real" "$link" ;; *) ln -s "$real" "$link" ;; esac
done
mkdir -p "$root/sysroot"
ln -s sysroot/ostree "$root/ostree"

# What a machine makes by itself, or nothing here reads.
rm -rf "$root"/var/cache/* "$root"/var/log/* "$root"/var/lib/apt/lists/* "$root"/var/roothome "$root"/run/* "$root"/tmp/* \
    "$root"/etc/ssh/ssh_host_* "$root"/usr/lib/udev/hwdb.* "$root"/usr/share/locale "$root"/usr/share/grub/*.pf2 \
    "$root"/usr/lib/grub/i386-pc/*.module "$root"/usr/lib/grub/x86_64-efi/monolithic
# /usr is read-only on the machine, so what is not compiled here is compiled at every start of Python; hashes instead of
# times keep the tree the same in every build.
find "$root/usr/lib/python3.13" "$root/usr/lib/python3" -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
chroot "$root" python3 -m compileall -q --invalidation-mode unchecked-hash /usr/lib/python3.13 /usr/lib/python3
: > "$root/etc/machine-id"
echo reference > "$root/etc/hostname"
rm -f "$root/etc/fstab" "$root/etc/resolv.conf"
chroot "$root" systemctl enable systemd-networkd.service systemd-resolved.service ssh.service
# Periodic jobs only steal the emulated processor, and each process of a boot takes half a second of it: what is up to date in the
# image (caches of the linker and of the journal), has no hardware here, or nothing here uses, is not started.
chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    dpkg-db-backup.timer man-db.timer podman-auto-update.timer systemd-networkd-wait-online.service systemd-hwdb-update.service \
    ldconfig.service systemd-journal-catalog-update.service grub-common.service getty@tty1.service lvm2-monitor.service blk-availability.service \
    modprobe@drm.service modprobe@configfs.service modprobe@efi_pstore.service modprobe@fuse.service \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
mkdir -p "$root/etc/systemd/system-generators"
ln -s /dev/null "$root/etc/systemd/system-generators/systemd-ssh-generator"
printf 'blacklist %s\n' kvm_amd kvm_intel kvm powernow_k8 ata_piix ata_generic i2c_piix4 psmouse pcspkr joydev serio_raw \
    aesni_intel ghash_clmulni_intel sha512_ssse3 sha256_ssse3 sha1_ssse3 crct10dif_pclmul crc32_pclmul polyval_clmulni \
    > "$root/usr/lib/modprobe.d/reference.conf"
