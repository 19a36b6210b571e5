#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Runs Firefox with a new profile that asks a port of localhost over QUIC: firefox.sh DIRECTORY PORT COMMAND...
set -eu
profile=$1 port=$2
shift 2
rm -rf "$profile"
mkdir -p "$profile"
cat >"$profile/user.js" <<END
user_pref("network.http.http3.alt-svc-mapping-for-testing", "localhost;h3=:$port");
user_pref("network.http.http3.force-use-alt-svc-mapping-for-testing", true);
user_pref("network.dns.disableIPv6", true);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.disabledForTesting", true);
END
exec "$@"
