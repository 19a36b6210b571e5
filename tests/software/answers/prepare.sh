#!/bin/sh
# A small company on one machine, for the recordings behind docs/answers.md: a shop behind nginx, a legacy service, a payment service
# with post-quantum key exchange, a database, logins by SSH, and who uses them. It is made here, in namespaces of its own, so that
# names, ports and paths are those of a real host; live.sh is a day of it.
#
#   prepare.sh before|today
#
# In its directory is what testdata/answers/needs lists.
set -eu
day=$1
here=$PWD
. "$here/issue.sh"
ip link set lo up
mount --make-rprivate /
mount -t tmpfs none /srv
mount -t tmpfs none /run
mount -t tmpfs none /opt
mount -t tmpfs none /home
mkdir -m 755 /run/sshd /home/alice /opt/tools /opt/backup /opt/openssh /srv/db
mkdir -m 700 /home/alice/.ssh
cp sshd /opt/openssh/
cp chrome.py query.py hash.py fetch.js /opt/tools/
mkdir /opt/tools/wheels && mount --bind wheels /opt/tools/wheels
cp go-peer /opt/tools/payments
sed 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf > nsswitch && mount --bind nsswitch /etc/nsswitch.conf
for name in shop legacy payments db; do echo "127.0.0.1 $name.test"; done > hosts && mount --bind hosts /etc/hosts
printf 'root:*:0:0::/home/alice:/bin/sh\nsshd:*:65534:65534::/run/sshd:/bin/false\nnobody:*:65534:65534::/home:/bin/false\n' > passwd
mount --bind passwd /etc/passwd

# Certificates: an authority, and one for each service. Those of yesterday and today were made at once: what matters is on disk.
mkdir -m 700 /srv/ca
cd /srv/ca
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/O=Test/CN=Test CA" -keyout ca.key -out ca.crt 2>/dev/null
touch index
cp ca.crt trusted.pem
cat > ca.cnf <<CONFIG
[ca]
default_ca = own
[own]
database = /srv/ca/index
new_certs_dir = /srv/ca
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
CONFIG
for name in shop legacy payments db; do
	mkdir -p "/srv/$name/tls"
	openssl genrsa -out "/srv/$name/tls/$name.key" 2048 2>/dev/null
done
issue shop "$(date -80days)" "$(date +10days)"
issue payments "$(date -1day)" "$(date +89days)"
issue db "$(date -400days)" "$(date +330days)"
if [ "$day" = today ]; then
	issue legacy "$(date -367days)" "$(date -2days)"
else
	issue legacy "$(date -364days)" "$(date +1days)"
fi
chmod 644 /srv/*/tls/*.crt
chmod 640 /srv/shop/tls/shop.key

cat > /srv/nginx.conf <<CONFIG
daemon off;
user nobody $(id -gn nobody);
worker_processes 1;
pid /run/nginx.pid;
error_log stderr notice;
events { worker_connections 64; }
http {
	access_log off;
	keepalive_timeout 0;
	client_body_temp_path /run/body; proxy_temp_path /run/proxy; fastcgi_temp_path /run/fastcgi; uwsgi_temp_path /run/uwsgi; scgi_temp_path /run/scgi;
	server {
		listen 443 ssl;
		server_name shop.test;
		ssl_certificate /srv/shop/tls/shop.crt;
		ssl_certificate_key /srv/shop/tls/shop.key;
		ssl_protocols TLSv1.2 TLSv1.3;
		return 200 "ok\n";
	}
	server {
		listen 8443 ssl;
		server_name legacy.test;
		ssl_certificate /srv/legacy/tls/legacy.crt;
		ssl_certificate_key /srv/legacy/tls/legacy.key;
		ssl_protocols TLSv1 TLSv1.1 TLSv1.2;
		ssl_ciphers AES128-SHA:@SECLEVEL=0;
		return 200 "ok\n";
	}
}
CONFIG
postgres=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
chown 65534:65534 /srv/db /srv/db/tls/db.key
chmod 600 /srv/db/tls/db.key
as_database() { setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/srv/db "$@"; }
as_database "$postgres/initdb" -D /srv/db/data -A trust -U test --no-sync --no-locale -E UTF8 >"$here/initdb.log" 2>&1
cat >> /srv/db/data/postgresql.conf <<CONFIG
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
ssl = on
ssl_cert_file = '/srv/db/tls/db.crt'
ssl_key_file = '/srv/db/tls/db.key'
fsync = off
CONFIG
mkdir /srv/ssh
ssh-keygen -q -t ed25519 -N '' -f /srv/ssh/ssh_host_ed25519_key
ssh-keygen -q -t ed25519 -N '' -C alice -f /home/alice/.ssh/id_ed25519
cp /home/alice/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys
printf '%s\n' 'Port 22' 'ListenAddress 127.0.0.1' 'HostKey /srv/ssh/ssh_host_ed25519_key' 'PidFile none' 'UsePAM no' 'UseDNS no' \
	'StrictModes no' 'PermitRootLogin yes' 'PasswordAuthentication no' > /srv/ssh/sshd_config
