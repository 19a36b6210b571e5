"""Fetches a page with the BoringSSL inside of the `curl_cffi` wheel, as Chrome would. libcurl tells of TLS on standard error.

    chrome.py URL CA
"""

import json
import os
import sys

import curl_cffi

url, ca = sys.argv[1:]
response = curl_cffi.Session(impersonate="chrome", verify=ca, debug=True).get(url)
assert response.status_code == 200
print(json.dumps({
    "role": "client", "pid": os.getpid(), "local_address": response.local_ip, "local_port": response.local_port,
    "remote_address": response.primary_ip, "remote_port": response.primary_port,
}))
