// Fetches a page: node fetch.js URL
require("https").get(process.argv[2], (answer) => answer.resume());
