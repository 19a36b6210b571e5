// A hello of Node with its defaults: client.js PORT
const socket = require('tls').connect({ port: +process.argv[2], host: '127.0.0.1', servername: 'server.test', rejectUnauthorized: false });
socket.on('error', () => {});
