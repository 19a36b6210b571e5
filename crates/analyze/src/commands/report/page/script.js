// Sorts and filters tables. Without it they are whole, in the order of the report.
"use strict";
for (const table of document.querySelectorAll("table[data-sortable]")) {
	const body = table.tBodies[0];
	const rows = Array.from(body.rows);
	for (const head of table.tHead.rows[0].cells) {
		const button = document.createElement("button");
		button.type = "button";
		button.textContent = head.textContent;
		head.textContent = "";
		head.append(button);
		button.addEventListener("click", () => {
			const descending = head.getAttribute("aria-sort") === "ascending";
			for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
			head.setAttribute("aria-sort", descending ? "descending" : "ascending");
			const at = head.cellIndex;
			const value = (row) => row.cells[at].dataset.sort ?? row.cells[at].textContent.trim();
			const isNumber = head.classList.contains("number");
			const compare = (one, other) => isNumber ? Number(one) - Number(other) : one.localeCompare(other, "en", { numeric: true });
			const sorted = rows.slice().sort((one, other) => compare(value(one), value(other)));
			body.append(...(descending ? sorted.reverse() : sorted));
		});
	}
	const filter = document.getElementById(table.dataset.sortable);
	if (!filter) continue;
	filter.hidden = false;
	const input = filter.querySelector("input");
	const count = filter.querySelector("output");
	const apply = () => {
		const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
		let shown = 0;
		for (const row of rows) {
			const text = row.textContent.toLowerCase();
			row.hidden = !words.every((word) => text.includes(word));
			shown += row.hidden ? 0 : 1;
		}
		count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
	};
	input.addEventListener("input", apply);
}
