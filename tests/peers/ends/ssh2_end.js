// An end of ssh2 for Node: ssh2_end.js client|server PORT KEY [OPTIONS]
const { createHash } = require('crypto');
const { readFileSync } = require('fs');
const { Client, Server } = require('ssh2');

const [side, port, key, text] = process.argv.slice(2);
const options = JSON.parse(text || '{}');
const say = (members) => console.log('SAID ' + JSON.stringify(members));

function tell(agreed) {
  const members = { kex: agreed.kex, host_key_algorithm: agreed.serverHostKey };
  for (const [way, of] of [['client_to_server', agreed.cs], ['server_to_client', agreed.sc]]) {
    members[`cipher_${way}`] = of.cipher;
    // Nothing where the cipher authenticates by itself.
    if (of.mac) members[`mac_${way}`] = of.mac;
    members[`compression_${way}`] = of.compress;
  }
  say(members);
}

if (side === 'client') {
  const client = new Client();
  client.on('handshake', tell);
  client.on('ready', () => client.end());
  client.on('error', (error) => { console.error(error.message); process.exit(1); });
  client.connect({
    host: '127.0.0.1', port: +port, username: 'root', privateKey: readFileSync(key), algorithms: options,
    hostVerifier: (blob) => {
      say({ 'host_key.fingerprint': 'SHA256:' + createHash('sha256').update(blob).digest('base64').replace(/=+$/, '') });
      return true;
    },
  });
} else {
  const server = new Server({ hostKeys: [readFileSync(key)], algorithms: options }, (client, info) => {
    say({ client_software: info.header.versions.software });
    client.on('handshake', tell);
    client.on('authentication', (context) => (context.method === 'publickey' ? context.accept() : context.reject(['publickey'])));
    client.on('error', () => {});
  });
  server.listen(+port, '127.0.0.1', () => console.log('READY'));
}
