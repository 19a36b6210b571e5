# SPDX-License-Identifier: MIT OR Apache-2.0
# The authority of prepare.sh and live.sh; both are in its directory when they use it.
date() { command date -u -d "$1" +%y%m%d%H%M%SZ; }
# issue NAME FROM TO: a new certificate for the key of /srv/NAME, put in the place of the old one as certbot does
issue() {
	openssl req -new -key "/srv/$1/tls/$1.key" -subj "/CN=$1.test" -addext "subjectAltName=DNS:$1.test" -out "$1.csr" 2>/dev/null
	openssl ca -batch -notext -config ca.cnf -cert ca.crt -keyfile ca.key -in "$1.csr" -startdate "$2" -enddate "$3" -out "$1.new" 2>/dev/null
	mv "$1.new" "/srv/$1/tls/$1.crt"
}
