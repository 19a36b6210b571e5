// SPDX-License-Identifier: MIT OR Apache-2.0
// Calls itself in a real Chromium: two RTCPeerConnections of one page, a data channel between them. Prints a line for each: `agreed`,
// what it is in DTLS, its version and its cipher suite.
//
//   call.mjs MODULES CHROMIUM
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, chromium] = process.argv.slice(2);
const require = createRequire(`${modules}/package.json`);
const puppeteer = (await import(pathToFileURL(require.resolve("puppeteer-core")))).default;

// In the page. Candidates are addresses, not names that multicast DNS knows.
async function call() {
  const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
  for (const [one, other] of [[a, b], [b, a]]) one.onicecandidate = ({ candidate }) => candidate && other.addIceCandidate(candidate);
  const channel = a.createDataChannel("of a test");
  const heard = new Promise((resolve) => (b.ondatachannel = (event) => (event.channel.onmessage = resolve)));
  channel.onopen = () => channel.send("hello");
  await a.setLocalDescription(await a.createOffer());
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription(await b.createAnswer());
  await a.setRemoteDescription(b.localDescription);
  await heard;
  const lines = [];
  for (const one of [a, b]) {
    (await one.getStats()).forEach((row) => row.type === "transport" && lines.push(`agreed ${row.dtlsRole} ${row.tlsVersion} ${row.dtlsCipher}`));
  }
  return lines;
}

const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns"];
const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args });
try {
  const page = await browser.newPage();
  const stop = new Promise((_, reject) => setTimeout(() => reject(new Error("no message in 20 s")), 20000));
  const lines = await Promise.race([page.evaluate(call), stop]);
  console.log(lines.join("\n"));
} finally {
  await browser.close();
}
process.exit(0);
