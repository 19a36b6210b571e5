"""Many connections of the BoringSSL inside of the `curl_cffi` wheel, set up as browsers set up theirs, by turns.

    crowd_chrome.py COUNT PORT...
"""

import sys

import curl_cffi

BROWSERS = ["chrome", "chrome110", "chrome99", "chrome99_android", "edge101", "safari15_5", "safari17_0", "safari", "firefox"]
count, ports, failed = int(sys.argv[1]), sys.argv[2:], 0
for at in range(count):
    try:
        session = curl_cffi.Session(impersonate=BROWSERS[at % len(BROWSERS)], verify="ca.crt")
        # Twice, so that the second connection is able to resume.
        for _ in range(2):
            session.get("https://localhost:%s/" % ports[at % len(ports)], headers={"Connection": "close"})
    except curl_cffi.CurlError:
        failed += 1
print("connections", 2 * count, "failed", failed, flush=True)
assert failed < count / 2, "nearly nothing works"
