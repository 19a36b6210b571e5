// Names a file of a cache by its MD5.
console.assert(require("crypto").createHash("md5").update("a cache key").digest("hex").length === 32);
