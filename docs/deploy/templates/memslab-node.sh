#!/bin/sh
# Makes a Debian 12 VM, or a later one, a node of a memslab pool. Run it as root; again after a
# change of the settings. It reads them from /etc/memslab-node:
#
#   PACKAGE=https://example.net/memslab_0.6.0-1_amd64.deb   URL or path of the Debian package
#   SHA256=...                                              of that file; needed for a URL
#   ETCD=http://10.0.0.10:2379                              where the node registers; empty: nowhere
#   ADDRESS=10.0.0.21                                       where it listens; empty: the address by
#                                                           which this host reaches others
#   PORT=11211
#   OPTIONS='-c 4096'                                       further options of memslab
set -eu
PACKAGE='' SHA256='' ETCD='' ADDRESS='' PORT=11211 OPTIONS=''
. /etc/memslab-node

fail() {
  echo "memslab-node: $1" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || fail 'only root can install'
[ -n "$PACKAGE" ] || fail '/etc/memslab-node has no PACKAGE'
if [ -z "$ADDRESS" ]; then
  # Of the interface with the default route. 192.0.2.1 is nobody's, and gets nothing.
  ADDRESS=$(ip -4 route get 192.0.2.1 | sed -n 's/.* src \([0-9.]*\).*/\1/p')
  [ -n "$ADDRESS" ] || fail 'this host has no address: set ADDRESS'
fi

# 1. The package. One that was installed already is left as it is.
file=$PACKAGE
case $PACKAGE in
  http://* | https://*)
    [ -n "$SHA256" ] || fail 'a PACKAGE from a URL needs its SHA256'
    file=/var/cache/memslab-node.deb
    curl --fail --silent --show-error --location --retry 5 --output "$file" "$PACKAGE"
    ;;
esac
if [ -n "$SHA256" ]; then
  echo "$SHA256  $file" | sha256sum --check --quiet || fail "$PACKAGE is another file"
fi
wanted=$(dpkg-deb --field "$file" Version)
# shellcheck disable=SC2016
if [ "$(dpkg-query --show --showformat='${Version}' memslab 2>/dev/null)" != "$wanted" ]; then
  DEBIAN_FRONTEND=noninteractive apt-get install --yes -o Dpkg::Options::=--force-confold "$file"
fi

# 2. Its options. With -e in memory, -m auto takes half of the memory: an upgrade and a restart need
# the content twice.
new=$(mktemp)
cat >"$new" <<END
# Written by memslab-node. Settings are in /etc/memslab-node.
-v
-m auto
-t auto
-p $PORT
-l $ADDRESS
-e /run/memslab/memory
--admin 127.0.0.1:9211
END
[ -z "$ETCD" ] || printf '%s\n' "--etcd $ETCD" "-o etcd_advertise=$ADDRESS:$PORT" >>"$new"
[ -z "$OPTIONS" ] || printf '%s\n' "$OPTIONS" >>"$new"
chmod 644 "$new"
if ! cmp -s "$new" /etc/memslab.conf; then
  mv "$new" /etc/memslab.conf
  systemctl restart memslab.service
else
  rm "$new"
fi

# 3. When the host shuts down, the other nodes get what this one has, before it ends. Clients that
# still ask this one find everything meanwhile.
if [ -n "$ETCD" ]; then
  cat >/etc/systemd/system/memslab-leave.service <<END
[Unit]
Description=memslab hands its items over before this host shuts down
After=network-online.target memslab.service
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=-/usr/bin/memslab drain $ADDRESS:$PORT --to etcd:$ETCD --keep
TimeoutStopSec=120
DynamicUser=yes

[Install]
WantedBy=multi-user.target
END
  systemctl daemon-reload
  systemctl enable --now memslab-leave.service
fi
systemctl is-active --quiet memslab.service || fail 'memslab does not run: journalctl -u memslab'
echo "memslab-node: memslab $wanted serves on $ADDRESS:$PORT"
