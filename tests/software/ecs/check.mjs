// SPDX-License-Identifier: MIT OR Apache-2.0
// Holds ECS events, one a line on stdin, to the published fields: check.mjs FIELDS [--break]. Lines of the bulk interface are
// counted apart. With --break each event gets a field that there is not, to see that this is found.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { EcsFlat } = createRequire(import.meta.url)(process.argv[2]);
const isNumber = { long: Number.isInteger, integer: Number.isInteger, float: (v) => typeof v === "number" };
const isIp = (v) => /^[0-9.]+$|^[0-9a-f:.]+$/i.test(v);
let events = 0, actions = 0;
const failed = new Map();
const fail = (what) => failed.set(what, (failed.get(what) ?? 0) + 1);

function value(path, field, v) {
	const values = Array.isArray(v) ? v : [v];
	if (Array.isArray(v) !== field.normalize.includes("array") && Array.isArray(v)) fail(`${path}: a list`);
	if (field.normalize.includes("array") && !Array.isArray(v)) fail(`${path}: no list`);
	for (const one of values) {
		const holds = isNumber[field.type] ?? { boolean: (b) => typeof b === "boolean", ip: isIp, date: (d) => !isNaN(Date.parse(d)) }[field.type] ?? ((s) => typeof s === "string");
		if (!holds(one)) fail(`${path}: ${JSON.stringify(one)} is no ${field.type}`);
		const allowed = field.allowed_values?.map((each) => each.name);
		if (allowed && !allowed.includes(one)) fail(`${path}: ${one} is not allowed`);
	}
}

function walk(path, v) {
	if (EcsFlat[path]) return value(path, EcsFlat[path], v);
	if (v === null || typeof v !== "object" || Array.isArray(v)) return fail(`${path}: no such field`);
	for (const [name, inner] of Object.entries(v)) walk(path ? `${path}.${name}` : name, inner);
}

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
	const event = JSON.parse(line);
	if (event.create) {
		actions += 1;
		continue;
	}
	events += 1;
	const { crypto_trace: _, ...rest } = event;
	if (process.argv.includes("--break")) rest.event.nonsense = 1;
	walk("", rest);
	const types = EcsFlat["event.category"].allowed_values.find((each) => each.name === event.event.category[0])?.expected_event_types ?? [];
	for (const type of event.event.type) if (!types.includes(type)) fail(`event.type: ${type} is not expected of ${event.event.category[0]}`);
}
for (const [what, times] of failed) console.error(`${what} (${times})`);
console.log(JSON.stringify({ events, actions }));
process.exit(failed.size ? 1 : 0);
