#!/bin/sh
# Makes the files of the container image in an empty folder: those of memslab's Debian package that
# a container needs, the libraries that its Node.js is linked with, a shell for hooks, and a user.
# No package manager and no other program. The libraries are those of the Debian that runs this:
#
#   root.sh memslab_VERSION_amd64.deb FOLDER
#
# Needs root, for the owners. The Dockerfile runs it, and scripts/build-image.ts.
set -eu

package=$1
root=$2
here=$(dirname "$0")
user=11211
machine=x86_64-linux-gnu

chmod 755 "$root"
mkdir -p "$root/usr/bin" "$root/usr/lib64" "$root/usr/lib/$machine" "$root/etc" "$root/var/lib" "$root/usr/share"
for folder in bin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done

dpkg-deb --fsys-tarfile "$package" | tar -xf - -C "$root" --no-same-owner \
  ./usr/bin/memslab ./usr/lib/memslab ./usr/share/doc/memslab/copyright \
  ./usr/share/doc/memslab/node.copyright.gz

# A shell that can wait, for hooks, the libraries of both, and what loads them: each by the name that is looked for.
cp /usr/bin/dash "$root/usr/bin/dash"
ln -s dash "$root/usr/bin/sh"
cp /usr/bin/sleep "$root/usr/bin/sleep"
ldd "$root/usr/lib/memslab/node" /usr/bin/dash | sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p' | sort -u |
  while read -r library; do cp -L "$library" "$root/usr/lib/$machine/"; done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/usr/lib64/"
for name in libc6 libgcc-s1 libstdc++6 libatomic1 dash coreutils; do
  mkdir -p "$root/usr/share/doc/$name"
  cp -L "/usr/share/doc/$name/copyright" "$root/usr/share/doc/$name/copyright" 2>/dev/null || true
done
cp -L /etc/os-release "$root/etc/os-release"

printf 'root:x:0:0:root:/:/usr/sbin/nologin\nmemslab:x:%s:%s:memslab:/var/lib/memslab:/usr/sbin/nologin\n' $user $user >"$root/etc/passwd"
printf 'root:x:0:\nmemslab:x:%s:\n' $user >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
cp "$here/memslab.conf" "$root/etc/memslab.conf"
cp "$here/healthy.js" "$root/usr/lib/memslab/healthy.js"
chmod 644 "$root/etc/memslab.conf" "$root/usr/lib/memslab/healthy.js"

# The only folder that its user may write to, and a place for sockets and files of a test.
mkdir -p "$root/var/lib/memslab" "$root/tmp" "$root/proc" "$root/sys" "$root/dev"
chown $user:$user "$root/var/lib/memslab"
chmod 700 "$root/var/lib/memslab"
chmod 1777 "$root/tmp"

# V8's compiled code, for its user and readable only: it is executed. memslab writes it as soon as
# it listens, here on a socket that nobody else can reach. Without it a start takes longer. Nothing
# of this shell's environment may say where it is written.
cache="$root/usr/lib/memslab/dist/cache"
mkdir "$cache"
chown $user:$user "$cache"
env -i chroot --userspec=$user:$user "$root" /usr/bin/memslab -t 1 -s /tmp/socket >/dev/null 2>&1 &
for tenth in $(seq 300); do
  if [ -S "$root/tmp/socket" ] || ! kill -0 $! 2>/dev/null; then break; fi
  sleep 0.1
done
kill $! 2>/dev/null || true
wait $! || true
chown -R root:root "$cache"
chmod -R u=rwX,go=rX "$cache"
rm -rf "$root/tmp/socket"
