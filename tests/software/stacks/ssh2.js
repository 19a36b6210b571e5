// An offer of ssh2 for Node with its defaults: ssh2.js PORT
const client = new (require('ssh2').Client)();
client.on('error', () => {});
client.connect({ host: '127.0.0.1', port: +process.argv[2], username: 'nobody', password: 'none', readyTimeout: 3000 });
