#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# strongSwan 6.0.1 (Debian 13, 6.0.1-6+deb13u7): no plugin of its packages implements ML-KEM, and a responder whose proposals name it
# all the same selects it: IKE_SA_INIT on the wire says that Curve25519 and ML-KEM-768 were agreed on (RFC 9370). Both ends give up
# before IKE_INTERMEDIATE. Whoever counts by what was selected counts a post-quantum key exchange that neither end can do.
# 6.1.0 of Debian's testing release does it, by OpenSSL's ML-KEM.
#
# Wants root, debootstrap, and namespaces.
#
# Seen: 6.0.1-6+deb13u7; methods of ML-KEM that are loaded: 0; selected: IKE:AES_GCM_16_256/PRF_HMAC_SHA2_384/CURVE_25519/KE1_ML_KEM_768;
#       then: negotiated key exchange method ML_KEM_768 not supported; IKE_INTERMEDIATE sent: 0
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf --one-file-system "$dir"' EXIT
cd "$dir"
debootstrap --variant=minbase \
	--include=strongswan-swanctl,strongswan-libcharon,strongswan-charon,libstrongswan-standard-plugins,libstrongswan-extra-plugins,iproute2 \
	trixie root >/dev/null
cp "$here/../tests/software/ike/strongswan.sh" root/
version=$(chroot root dpkg-query -W -f '${Version}' strongswan-charon)
cat > inside <<'SCRIPT'
mount --bind root root
mount -t proc proc root/proc
exec chroot root sh -c 'mkdir /here; cd /here; proposal=aes256gcm16-prfsha384-x25519-ke1_mlkem768
	# The last thing that it does is to end its daemons: what they have loaded is asked for before.
	sed -i "s/^kill .initiator/control initiator --list-algs; &/" /strongswan.sh
	exec sh /strongswan.sh /usr/lib/ipsec/charon $proposal $proposal'
SCRIPT
unshare -nmpf sh inside > said 2>&1
loaded=$(sed -n '/^ke:/,/^[a-z]*:$/p' said | grep -c 'ML_KEM' || true)
[ "$(grep -c 'CURVE_25519\[' said)" != 0 ] || { echo "what is loaded was not listed"; exit 1; }
selected=$(sed -n 's/.*selected proposal: //p' said | head -1)
then=$(sed -n 's/^\[IKE\] \(negotiated.*\)/\1/p' said | head -1)
sent=$(grep -c 'generating IKE_INTERMEDIATE' said || true)
seen="$version; methods of ML-KEM that are loaded: $loaded; selected: $selected; then: $then; IKE_INTERMEDIATE sent: $sent"
echo "$seen"
[ "$seen" = "6.0.1-6+deb13u7; methods of ML-KEM that are loaded: 0; selected: IKE:AES_GCM_16_256/PRF_HMAC_SHA2_384/CURVE_25519/KE1_ML_KEM_768; then: negotiated key exchange method ML_KEM_768 not supported; IKE_INTERMEDIATE sent: 0" ]
