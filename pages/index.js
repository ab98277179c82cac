
const units = [["year", 31536000], ["month", 2592000 * 2], ["day", 86400 * 2], ["hour", 3600], ["minute", 60]];
const lengths = { year: 31536000, month: 2592000, day: 86400, hour: 3600, minute: 60 };
const relative = new Intl.RelativeTimeFormat("en");
const times = [...document.querySelectorAll("time")].map((element) => ({
	element,
	at: Date.parse(element.dateTime),
	overdue: element.parentElement.hasAttribute("data-ends") ? "now" : "",
}));
for (const { element } of times) element.title = element.textContent;

function humanise() {
	for (const { element, at, overdue } of times) {
		const seconds = (at - Date.now()) / 1000;
		const [unit] = units.find(([, from]) => Math.abs(seconds) >= from) ?? [];
		element.textContent = seconds < 0 && overdue ? overdue : unit ? relative.format(Math.trunc(seconds / lengths[unit]), unit) : "just now";
	}
}
humanise();
setInterval(humanise, 30000);

const query = document.getElementById("query");
if (query) {
	const words = (element) => [...element.querySelectorAll("[data-find]")].map((part) => part.textContent).join("\n");
	const projects = [...document.querySelectorAll("[data-project]")].map((section) => ({
		section,
		number: section.querySelector(".number"),
		apps: [...section.querySelectorAll("[data-app]")].map((item) => ({
			item,
			text: (words(section.querySelector("h2")) + "\n" + words(item) + "\n" + item.querySelector(".state").textContent).toLowerCase(),
		})),
	}));
	const total = projects.reduce((sum, { apps }) => sum + apps.length, 0);
	const past = document.getElementById("past");
	const count = document.getElementById("count");
	const nothing = document.getElementById("nothing");

	const plural = (n) => (n === 1 ? "1 app" : `${n} apps`);
	const filter = () => {
		const terms = query.value.toLowerCase().split(/\s+/).filter(Boolean);
		let found = 0;
		for (const { section, number, apps } of projects) {
			let here = 0;
			for (const { item, text } of apps) {
				item.hidden = !terms.every((term) => text.includes(term));
				if (!item.hidden) here++;
				item.classList.toggle("first", !item.hidden && here === 1);
			}
			section.hidden = here === 0;
			number.textContent = (here < apps.length ? `${here} of ` : "") + plural(apps.length);
			found += here;
		}
		nothing.hidden = found > 0;
		if (past) past.hidden = terms.length > 0;
		count.textContent = terms.length ? `${found} of ${plural(total)}` : "";
	};
	const clear = () => {
		query.value = "";
		filter();
		query.focus();
	};
	query.addEventListener("input", () => {
		filter();
		scrollTo(0, 0); // to the first that was found
	});
	document.getElementById("clear").addEventListener("click", clear);
	document.addEventListener("keydown", (event) => {
		if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && event.target !== query) {
			event.preventDefault();
			query.focus();
			query.select();
		} else if (event.key === "Escape" && event.target === query) {
			clear();
		}
	});
	addEventListener("pageshow", filter);
	document.getElementById("search").hidden = false;
	filter();
}
