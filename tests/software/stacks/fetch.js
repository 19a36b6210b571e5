// A hello of a runtime's own HTTP client: fetch.js PORT
const args = typeof Deno === 'undefined' ? process.argv.slice(2) : Deno.args;
fetch('https://localhost:' + args[0] + '/').catch(() => {});
