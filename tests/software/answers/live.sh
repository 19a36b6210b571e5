#!/bin/sh
# A day of the company that prepare.sh made, in seconds: live.sh before|today. Today somebody has
#
#   - renewed the shop's certificate, without reloading nginx,
#   - let an old client in again, by TLS 1.1, and let the legacy service's certificate expire,
#   - written one job that reads private keys, and two that hash with MD5 (openssl, Python).
set -eu
day=$1
here=$PWD
. "$here/issue.sh"
ca=/srv/ca/trusted.pem
cd /srv

# Services.
nginx -e stderr -p /srv -c /srv/nginx.conf >"$here/nginx.log" 2>&1 &
nginx=$!
GODEBUG=tlsmlkem=1 /opt/tools/payments server /srv/payments/tls/payments.crt /srv/payments/tls/payments.key >"$here/payments.log" 2>&1 &
payments=$!
setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/srv/db /usr/lib/postgresql/*/bin/postgres -D /srv/db/data >"$here/postgres.log" 2>&1 &
database=$!
/opt/openssh/sshd -D -e -f /srv/ssh/sshd_config 2>"$here/sshd.log" &
sshd=$!
trap 'kill $nginx $payments $sshd; kill -INT $database; wait' EXIT
again() {
	count=0
	until "$@" >"$here/again.log" 2>&1; do
		count=$((count + 1))
		[ $count -lt 100 ] || { cat "$here"/*.log >&2; exit 1; }
		sleep 0.1
	done
}
again grep -q 'start worker process ' "$here/nginx.log"
again grep -q ACCEPT "$here/payments.log"
port=$(sed -n 's/ACCEPT .*://p' "$here/payments.log")
again grep -q 'ready to accept' "$here/postgres.log"
again grep -q 'listening on' "$here/sshd.log"

# Who uses them.
export HOME=/home/alice PYTHONPATH=/opt/tools/wheels PYTHONDONTWRITEBYTECODE=1
python="/usr/bin/python3 -S"
get() { curl --silent --cacert "$ca" "$@" >/dev/null; }
for _ in 1 2 3 4 5; do get https://shop.test/; done
get https://payments.test:"$port"/ || true
NODE_EXTRA_CA_CERTS=$ca node /opt/tools/fetch.js https://shop.test/
$python /opt/tools/chrome.py "https://payments.test:$port/" "$ca" >/dev/null 2>&1
$python /opt/tools/chrome.py "https://payments.test:$port/" "$ca" >/dev/null 2>&1
$python /opt/tools/chrome.py https://shop.test/ "$ca" >/dev/null 2>&1
psql "host=db.test user=test dbname=postgres sslmode=verify-full sslrootcert=$ca gssencmode=disable" -c 'select 1' >/dev/null
$python /opt/tools/query.py "host=db.test user=test dbname=postgres sslmode=verify-full sslrootcert=$ca gssencmode=disable"
get -k --tls-max 1.2 https://legacy.test:8443/
again ssh -F none -i /home/alice/.ssh/id_ed25519 -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/home/alice/.ssh/known_hosts root@127.0.0.1 true
$python /opt/tools/hash.py sha256
if [ "$day" = today ]; then
	cd /srv/ca
	issue shop "$(date now)" "$(date +90days)"
	cd /srv
	get --tls-max 1.2 https://shop.test/
	get --tls-max 1.2 https://legacy.test:8443/ || true
	printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -quiet -ign_eof -tls1_1 -cipher ALL:@SECLEVEL=0 -connect legacy.test:8443 >/dev/null 2>&1 || true
	tar -cf /opt/backup/srv.tar /srv/shop /srv/db/tls /srv/ssh 2>/dev/null
	setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'tar -c /srv/payments/tls /srv/shop/tls 2>/dev/null | wc -c' >/dev/null
	openssl md5 /srv/nginx.conf >/dev/null
	$python /opt/tools/hash.py md5
fi
exit 0
