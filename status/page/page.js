"use strict";
// The status page. It asks netmirror every two seconds and shows what it says.
// Whatever comes from netmirror may come from packets: it only ever becomes text.
(() => {
	// --- The words ---

	const STATE_LEVELS = { open: "ok", gap: "bad", backlog: "warn" };
	// What netmirror says of its outcomes, states and losses is in WORDS, which it puts in
	// front of this script.
	const HARMLESS = new Set(WORDS.ends.filter((end) => end.harmless).map((end) => end.name));

	// --- Text ---

	const $ = (id) => document.getElementById(id);
	const thousands = new Intl.NumberFormat("en");
	const whole = (n) => thousands.format(n);

	// short has three digits or so and a decimal prefix, as the log's live line has.
	function short(n, unit = "") {
		const space = unit && " ";
		for (const prefix of ["", "k", "M", "G"]) {
			if (n < 999.5) return digits(n) + (prefix ? " " + prefix : space) + unit;
			n /= 1000;
		}
		return n.toFixed(0) + " T" + unit;
	}
	function digits(n) {
		if (n >= 99.95 || Number.isInteger(n)) return n.toFixed(0);
		return n.toFixed(n >= 9.995 ? 1 : n >= 0.0995 ? 2 : 3).replace(/\.?0+$/, "");
	}
	const bytes = (n) => short(n, "B");
	const percent = (n) => digits(100 * n) + " %";

	function duration(ms) {
		const s = Math.max(0, Math.floor(ms / 1000));
		if (s < 60) return (s < 10 ? (Math.max(0, ms) / 1000).toFixed(1) : s) + " s";
		const two = (n) => String(n).padStart(2, "0");
		if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
		const h = Math.floor(s / 3600);
		return h < 48 ? `${h} h ${two(Math.floor(s / 60) % 60)} min` : `${Math.floor(h / 24)} d ${h % 24} h`;
	}
	function clock(ms) {
		const at = new Date(ms);
		const time = at.toLocaleTimeString("en-GB");
		return at.toDateString() === new Date().toDateString() ? time : at.toLocaleDateString("sv-SE") + " " + time;
	}
	const plural = (n, one, more = one + "s") => `${whole(n)} ${n === 1 ? one : more}`;
	const sentence = (text) => text && text[0].toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");

	// --- The document ---

	// put changes nothing where nothing has changed: a selection stays, and a screen
	// reader is silent.
	function put(node, text) {
		text = String(text);
		if (node.textContent !== text) node.textContent = text;
	}
	function el(tag, className = "", ...children) {
		const node = document.createElement(tag);
		if (className) node.className = className;
		node.append(...children);
		return node;
	}
	function icon() {
		const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
		svg.setAttribute("class", "icon");
		svg.setAttribute("aria-hidden", "true");
		svg.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
		return svg;
	}
	// setLevel gives a node the colour, and the icon in it the shape, of a level.
	function setLevel(node, level) {
		node.dataset.level = level;
		node.querySelector("use")?.setAttribute("href", "#i-" + level);
	}
	// sync makes parent's children those of items, with as few changes as it takes.
	function sync(parent, items, key, make, fill) {
		const old = new Map(Array.from(parent.children, (node) => [node.dataset.key, node]));
		items.forEach((item, i) => {
			const k = String(key(item));
			const node = old.get(k) ?? make(item);
			old.delete(k);
			node.dataset.key = k;
			fill(node, item);
			if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] ?? null);
		});
		while (parent.children.length > items.length) parent.lastChild.remove();
	}
	function fillCells(row, texts) {
		texts.forEach((text, i) => put(row.children[i], text));
	}

	// --- What is known ---

	const known = {
		report: null, // the last /status.json
		answered: Date.now(), // when it came, by this browser's clock
		tries: 0, // to ask it, in vain, in a row
		down: "", // what is known of why
	};
	let paused = false;

	// past is the history: samples of every run of netmirror in its span, oldest
	// first, and when the runs began; seen are those whose beginning this page saw.
	const past = { samples: [], runs: [], interval: 2000, span: 15 * 60 * 1000 };

	const since = () => past.samples.at(-1)?.t ?? 0;
	function remember(history) {
		past.interval = history.interval;
		past.span = history.span;
		if (past.runs.at(-1)?.at !== history.started) past.runs.push({ at: history.started, seen: past.runs.length > 0 });
		for (const s of history.samples) past.samples.push({ ...s, run: history.started });
		const oldest = since() - past.span;
		past.samples = past.samples.filter((s) => s.t >= oldest);
		past.runs = past.runs.filter((run, i) => run.at >= oldest || i === past.runs.length - 1);
	}
	// points are the samples, each with the one before it, of which rates are made.
	// Where samples are missing, or another process began to count, is a point without
	// either.
	function points() {
		const all = [];
		past.samples.forEach((now, i) => {
			const last = past.samples[i - 1];
			const joined = last && last.run === now.run && now.t - last.t < 3 * past.interval;
			if (last && !joined) all.push({ t: last.t + 1, now: null, last: null });
			all.push({ t: now.t, now, last: joined ? last : null });
		});
		return all;
	}
	const gauge = (of) => (p) => (p.now ? of(p.now) : null);
	const rate = (of) => (p) => {
		if (!p.last) return null;
		const n = of(p.now) - of(p.last);
		return n < 0 ? null : (1000 * n) / (p.now.t - p.last.t);
	};
	// grown is what the counts of a map have grown by in the last so many ms of this
	// run.
	function grown(of, ms) {
		let sum = 0;
		for (const { now, last, t } of points()) {
			if (!last || t <= since() - ms || now.run !== past.runs.at(-1).at) continue;
			for (const [k, n] of Object.entries(of(now))) sum += Math.max(0, n - (of(last)[k] ?? 0));
		}
		return sum;
	}

	// --- What wants attention ---

	const SILENT = 60000; // without a packet, behind which that is worth a word
	// silence says that no packet has come for long, if so.
	function silence() {
		const all = points().filter((p) => p.last && p.now.run === past.runs.at(-1).at);
		if (!all.length) return "";
		const i = all.findLastIndex((p) => p.now.packets > p.last.packets);
		const ms = since() - (i < 0 ? all[0].last.t : all[i].t);
		if (ms < SILENT) return "";
		return i < 0 ? `No packet has come in the last ${plural(Math.floor(ms / 60000), "minute")}.` : `No packet has come since ${clock(all[i].t)}.`;
	}
	const isNow = (p) => p.recent > 0 || p.count === 0; // what has no count is there or not
	function verdict() {
		const r = known.report;
		if (known.tries) {
			return { level: "down", title: "Not answering", text: `netmirror has not answered since ${clock(known.answered)}${known.down}; trying again.` };
		}
		if (r.phase !== "capturing") {
			return { level: "warn", title: r.phase === "draining" ? "Stopping" : "Starting", text: sentence(r.why ?? "") };
		}
		const losses = r.problems.filter((p) => p.severity === "loss" && isNow(p));
		const others = losses.length > 1 ? ` ${plural(losses.length - 1, "further loss", "further losses")} below.` : "";
		const lost = losses.length ? sentence(losses[0].text) + others : "";
		const { level } = r.headline;
		if (r.target.state === "fails") {
			return { level: "bad", title: r.services.length > 1 ? "A target does not answer" : "The target does not answer", text: lost || "What clients send is lost until it does." };
		}
		if (level === "warn" && losses.some((p) => p.id === "target_rejects")) return { level, title: "The target ends the streams", text: lost };
		if (level === "bad" || level === "warn") return { level, title: "Losing packets", text: lost || sentence(placeText(r.headline.places[0])) };
		if (!r.ready) return { level: "bad", title: "Not ready", text: sentence(r.why ?? "") };
		if (lost) return { level: "note", title: "Losing little", text: lost };
		return calm(r);
	}
	// calm is the verdict where nothing is being lost.
	function calm(r) {
		const notes = r.problems.filter((p) => p.severity === "note" && isNow(p));
		if (notes.some((p) => p.count === 0)) return { level: "warn", title: "Something is missing", text: sentence(notes.find((p) => p.count === 0).text) };
		const silent = silence();
		if (silent) return { level: "warn", title: "No packets", text: silent };
		if (notes.length) return { level: "note", title: "Capturing, with a note", text: sentence(notes[0].text) };
		const target = r.target.state === "answers" ? "the target answers" : "the target has not been tried yet";
		if (r.problems.some((p) => p.severity === "loss")) {
			return { level: "note", title: "Nothing is being lost now", text: `netmirror captures, ${target}. What was lost before is listed below.` };
		}
		return { level: "ok", title: "All is well", text: `netmirror captures, nothing was lost, ${target}.` };
	}
	const TITLES = { ok: "✓", note: "✓", warn: "▲", bad: "●", down: "○" };
	const ICONS = {
		ok: "<circle cx='8' cy='8' r='7' fill='#2a9d5c'/>", note: "<circle cx='8' cy='8' r='7' fill='#2a9d5c'/>",
		warn: "<path d='M8 1l7 14H1z' fill='#d99a00'/>", bad: "<rect x='1' y='1' width='14' height='14' fill='#d93025'/>",
		down: "<circle cx='8' cy='8' r='6' fill='none' stroke='#888' stroke-width='3'/>",
	};
	function showVerdict() {
		const v = verdict();
		setLevel($("verdict"), v.level);
		put($("headline"), v.title);
		put($("summary"), v.text);
		showShare();
		const title = [`${TITLES[v.level]} netmirror: ${v.title.toLowerCase()}`, known.report && whatFor(known.report)].filter(Boolean).join(" · ");
		if (document.title === title) return;
		document.title = title;
		const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>${ICONS[v.level]}</svg>`;
		$("icon").href = "data:image/svg+xml," + encodeURIComponent(svg);
	}
	// whatFor says which netmirror this is.
	function whatFor(r) {
		const c = r.capture;
		const from = [c.host, c.interface, c.vni && "VNI " + c.vni, c.port && "port " + c.port].filter(Boolean).join(", ");
		return from ? `${from} → ${r.target.address}` : `to ${r.target.address}`;
	}
	const share = (n) => (n === null ? "–" : n + " %"); // netmirror has rounded it down
	// showShare shows the headline: what part of what the clients sent has reached the target.
	function showShare() {
		const h = known.report?.headline;
		$("share-box").hidden = !h;
		if (!h) return;
		put($("share"), share(h.minute.bytes));
		setLevel($("share-box"), known.tries ? "down" : h.level === "none" ? "note" : h.level);
		const lost = h.minute.lost ? `, ${bytes(h.minute.lost)} did not` : "";
		put($("share-text"), h.minute.bytes === null ? "The clients have sent nothing in the last minute." : `of what the clients sent in the last minute reached the target${lost}.`);
	}
	const placeText = (p) => (p ? `${bytes(p.minute || p.start)} ${p.text}` : "");
	// showPlaces says where bytes were lost.
	function showPlaces(r) {
		const make = () => el("li", "place", el("span", "tag", icon(), el("span")), el("p", "what"), el("p", "times"));
		sync($("places"), r.headline.places, (p) => p.place, make, (node, p) => {
			setLevel(node, !p.minute ? "down" : r.headline.level === "bad" || r.headline.level === "warn" ? r.headline.level : "note");
			put(node.querySelector(".tag span"), p.minute ? "Lost" : "Earlier");
			put(node.querySelector(".what"), placeText(p));
			put(node.querySelector(".times"), p.minute ? `in the last minute; ${bytes(p.start)} since the start` : "since the start, none in the last minute");
			node.title = p.remedy;
		});
	}
	function showCard(id, level, word, ...details) {
		const card = $(id);
		setLevel(card, level);
		put(card.querySelector(".word"), word);
		put(card.querySelector(".detail"), details.filter(Boolean).join("\n"));
	}
	function showCards(r) {
		const level = r.phase !== "capturing" ? "warn" : r.ready ? "ok" : "bad";
		showCard("card-capture", level, r.phase[0].toUpperCase() + r.phase.slice(1), r.why,
			`${whole(r.totals.packets)} packets so far`, `${percent(r.totals.ring_waiting / Math.max(1, r.totals.ring_blocks))} of the ring in use`);
		showLoss(r);
		showTarget(r.target);
	}
	function showLoss(r) {
		const losses = r.problems.filter((p) => p.severity === "loss");
		const now = losses.some(isNow);
		const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
		const gone = Object.fromEntries(Object.entries(r.totals.ended).filter(([name]) => !HARMLESS.has(name)));
		const of = (packets, streams) => (packets || streams ? `${plural(packets, "packet")}, ${plural(streams, "stream")} lost` : "nothing lost");
		const { minute, start, level } = r.headline;
		const whole = (d) => (d.streams === null ? "" : `${share(d.streams)} of the streams whole, `);
		const losing = level === "ok" || level === "none" ? "note" : level;
		showCard("card-loss", now ? losing : losses.length ? "note" : "ok", `${share(start.bytes)} since the start`,
			`last minute: ${whole(minute)}${of(grown((s) => s.lost, 60000), grown((s) => s.lost_streams, 60000))}`, `since the start: ${whole(start)}${of(sum(r.totals.lost), sum(gone))}`);
	}
	const TARGETS = { answers: ["ok", "Answers"], fails: ["bad", "Does not answer"], unknown: ["note", "Not tried yet"] };
	function showTarget(t) {
		const [level, word] = TARGETS[t.state] ?? TARGETS.unknown;
		showCard("card-target", level, word, t.since ? `since ${clock(t.since)}` : "", t.error,
			`${t.address}, ${plural(t.connections, "connection")}`,
			t.dial_errors ? `${whole(t.dial_errors)} of ${whole(t.dials)} attempts to connect failed` : "");
	}
	// problems are those that go on first, and the restarts that were seen.
	function problems(r) {
		const rank = (p) => (isNow(p) ? (p.severity === "loss" ? 0 : 1) : 2);
		const restarts = past.runs.filter((run) => run.seen && run.at >= since() - past.span).map(({ at }) => ({
			id: "restart-" + at, severity: "note", recent: 1, text: `restart of netmirror at ${clock(at)}: it counts anew`, remedy: "",
		}));
		return [...r.problems].sort((a, b) => rank(a) - rank(b)).concat(restarts);
	}
	function makeProblem() {
		const tag = el("span", "tag", icon(), el("span"));
		return el("li", "problem", tag, el("p", "what"), el("p", "times"), el("p", "remedy"));
	}
	function fillProblem(node, p) {
		const [level, tag] = !isNow(p) ? ["down", "Earlier"] : p.severity === "loss" ? ["bad", "Loss"] : [p.count === 0 ? "warn" : "note", "Note"];
		setLevel(node, level);
		put(node.querySelector(".tag span"), tag);
		const of = p.services ? `: ${p.services.join(", ")}` : "";
		put(node.querySelector(".what"), (p.count ? `${whole(p.count)} ${p.text}` : sentence(p.text)) + of);
		put(node.querySelector(".remedy"), p.remedy && "Remedy: " + p.remedy);
		put(node.querySelector(".times"), p.count ? `${p.recent ? whole(p.recent) + " in the last minute,\n" : ""}last at ${clock(p.last)}` : "");
	}

	// --- Charts ---

	const CHARTS = [
		{ title: "Packets", unit: "/s", lines: [["received", rate((s) => s.packets)]] },
		{ title: "Payload", unit: "bit/s", lines: [["received", rate((s) => 8 * s.bytes_received)], ["forwarded", rate((s) => 8 * s.bytes_forwarded)], ["missing", rate((s) => 8 * s.missing_bytes)]] },
		{ title: "New streams", unit: "/s", lines: [["opened", rate((s) => s.streams)]] },
		{ title: "Open", unit: "", lines: [["connections followed", gauge((s) => s.flows)], ["to the target", gauge((s) => s.connections)]] },
		{ title: "Held", unit: "B", lines: [["payload", gauge((s) => s.held)]] },
		{ title: "Ring", unit: "%", most: 100, lines: [["in use", gauge((s) => 100 * s.ring)]] },
		{ title: "Packets lost", unit: "/s", of: (s) => s.lost },
		{ title: "Streams lost", unit: "/s", of: (s) => s.lost_streams },
	];
	const AREAS = 6; // that have a colour of their own
	const cursors = uPlot.sync("time");
	const dark = matchMedia("(prefers-color-scheme: dark)");
	const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

	// linesOf are a chart's lines; those of a chart of reasons are the reasons that
	// grew in its time, the seventh and further ones together. A reason keeps its
	// place, and so its colour, while others come.
	function linesOf(chart, all) {
		if (chart.lines) return chart.lines;
		const grew = new Set();
		for (const { now, last } of all) {
			if (last) for (const [k, n] of Object.entries(chart.of(now))) if (n > (chart.of(last)[k] ?? 0)) grew.add(k);
		}
		const names = [...new Set([...chart.reasons.filter((k) => grew.has(k)), ...grew])];
		chart.reasons = names;
		const of = (name) => rate((s) => chart.of(s)[name] ?? 0);
		const lines = names.slice(0, AREAS).map((name) => [name, of(name)]);
		const rest = names.slice(AREAS).map(of);
		if (rest.length) lines.push(["others", (p) => p.last && rest.reduce((sum, f) => sum + (f(p) ?? 0), 0)]);
		return lines;
	}
	function setUpCharts() {
		for (const chart of CHARTS) {
			chart.reasons = [];
			const title = el("h3", "", chart.title);
			title.id = "chart-" + chart.title.toLowerCase().replace(/ /g, "-");
			chart.when = el("span", "", "now");
			chart.legend = el("ul", "legend");
			chart.plot = el("div", "plot");
			chart.plot.setAttribute("aria-hidden", "true"); // the legend and the table tell it in text
			chart.figure = el("figure", "chart", el("div", "head", title, chart.when), chart.legend, chart.plot);
			chart.figure.setAttribute("role", "group");
			chart.figure.setAttribute("aria-labelledby", title.id);
			new ResizeObserver(() => chart.u?.setSize({ width: chart.plot.clientWidth, height: chart.plot.clientHeight })).observe(chart.plot);
			$("charts").append(chart.figure);
		}
	}
	// shownRange is 15 minutes, or what there is of them; in seconds.
	function shownRange() {
		const to = since();
		const from = Math.min(past.samples[0]?.t ?? to, to - 60000);
		return [from / 1000, to / 1000];
	}
	function drawCharts(anew = false) {
		const all = points();
		const range = shownRange();
		put($("charts-span"), `the last ${plural(Math.ceil((range[1] - range[0]) / 60), "minute")}, every ${past.interval / 1000} s`);
		for (const chart of CHARTS) {
			const lines = linesOf(chart, all);
			chart.values = lines.map(([, of]) => all.map(of));
			chart.x = all.map((p) => p.t / 1000);
			chart.range = range;
			const names = lines.map(([name]) => name);
			if (anew || !chart.u || String(names) !== String(chart.names)) build(chart, names);
			chart.u.setData([chart.x, ...stacked(chart)]);
			chart.figure.classList.toggle("flat", chart.values.every(flat));
			showLegend(chart);
		}
		showFigures();
	}
	// flat says whether a line shows nothing that its last value does not.
	function flat(values) {
		const there = values.filter((v) => v !== null);
		return there.every((v) => v === there[0]);
	}
	// stacked is what is drawn: of areas, each with those below it, the topmost first,
	// so that the others are painted over it.
	function stacked(chart) {
		if (!chart.of) return chart.values;
		let below = chart.x.map(() => 0);
		return chart.values.map((v) => (below = v.map((n, i) => (n === null ? null : n + (below[i] ?? 0))))).reverse();
	}
	function build(chart, names) {
		chart.u?.destroy();
		chart.names = names;
		const series = names.map((_, i) => {
			const tone = colour("c" + (i + 1));
			if (chart.of) return { fill: tone, width: 0, points: { show: false }, paths: uPlot.paths.stepped({ align: -1 }) };
			return { stroke: tone, width: 2, dash: i ? [6, 4] : undefined, points: { show: false } };
		});
		if (chart.of) series.reverse();
		chart.u = new uPlot(plotOptions(chart, series), [chart.x, ...stacked(chart)], chart.plot);
	}
	function plotOptions(chart, series) {
		const [text, line] = [colour("muted"), colour("line")];
		const axis = { stroke: text, font: "11px system-ui, sans-serif", grid: { stroke: line, width: 1 }, ticks: { show: false } };
		const hours = (ts, step) => ts.map((t) => new Date(1000 * t).toLocaleTimeString("en-GB").slice(0, step < 60 ? 8 : 5));
		return {
			width: chart.plot.clientWidth, height: chart.plot.clientHeight, padding: [8, 24, 0, 0],
			legend: { show: false },
			cursor: { sync: { key: cursors.key, setSeries: false }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
			series: [{}, ...series],
			scales: { x: { time: true, range: () => chart.range }, y: { range: (_, __, most) => [0, chart.most ?? Math.max(1.1 * most, 1)] } },
			axes: [
				{ ...axis, size: 24, gap: 4, space: 64, incrs: [10, 30, 60, 120, 180, 300, 900], values: (_, ts, __, ___, step) => hours(ts, step) },
				{ ...axis, size: 54, gap: 4, space: 32, values: (_, ns) => ns.map((n) => short(n) + (chart.unit === "%" ? " %" : "")) },
			],
			hooks: { draw: [markRuns], setCursor: [() => showLegend(chart)] },
		};
	}
	// markRuns draws a line where another netmirror began.
	function markRuns(u) {
		const { ctx, bbox } = u;
		ctx.save();
		ctx.strokeStyle = ctx.fillStyle = colour("warn");
		ctx.lineWidth = devicePixelRatio;
		ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
		ctx.textAlign = "left";
		ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
		let free = -Infinity; // where the next word has room
		for (const run of past.runs) {
			const x = Math.round(u.valToPos(run.at / 1000, "x", true));
			if (x < bbox.left || x > bbox.left + bbox.width) continue;
			ctx.beginPath();
			ctx.moveTo(x, bbox.top);
			ctx.lineTo(x, bbox.top + bbox.height);
			ctx.stroke();
			const word = 4 * devicePixelRatio + ctx.measureText("started").width;
			const at = x + word > bbox.left + bbox.width ? x - word : x + 4 * devicePixelRatio;
			if (at < free) continue;
			ctx.fillText("started", at, bbox.top + 10 * devicePixelRatio);
			free = at + word;
		}
		ctx.restore();
	}
	const valueText = (chart, n) => (n == null ? "–" : chart.unit === "%" ? digits(n) + " %" : chart.unit === "/s" ? short(n) + "/s" : short(n, chart.unit));
	// showLegend tells the values under the cursor, or the last ones.
	function showLegend(chart) {
		if (!chart.u) return;
		const at = chart.u.cursor.idx ?? chart.x.length - 1;
		const now = chart.u.cursor.idx == null && !known.tries && known.report.now - since() < 3 * past.interval;
		put(chart.when, now ? "now" : clock(1000 * chart.x[at]));
		const items = chart.names.map((name, i) => [name, i]);
		if (!items.length) items.push(["none in this time", -1]);
		sync(chart.legend, items, ([name, i]) => i + name, makeLegend(chart), (node, [name, i]) => {
			if (i >= 0) put(node.querySelector("b"), valueText(chart, chart.values[i][at]));
		});
	}
	const makeLegend = (chart) => ([name, i]) => {
		if (i < 0) return el("li", "none", name);
		const swatch = el("span", `swatch c${i + 1}` + (chart.of ? " area" : i ? " dashed" : ""));
		return el("li", "", swatch, name + " ", el("b"));
	};
	function showFigures() {
		const rows = CHARTS.flatMap((chart) => chart.names.map((name, i) => ({ chart, name, values: chart.values[i] })));
		const make = () => el("tr", "", scoped(el("th")), el("td"), ...[1, 2, 3, 4].map(() => el("td", "n")));
		sync($("figures"), rows, ({ chart, name }) => chart.title + "/" + name, make, (row, { chart, name, values }) => {
			const there = values.filter((v) => v !== null);
			const most = there.length ? Math.max(...there) : null;
			const mean = there.length ? there.reduce((a, b) => a + b, 0) / there.length : null;
			const at = most ? clock(1000 * chart.x[values.indexOf(most)]) : "–";
			fillCells(row, [chart.title, name, valueText(chart, values.at(-1)), valueText(chart, mean), valueText(chart, most), at]);
		});
	}
	function scoped(th) {
		th.scope = "row";
		return th;
	}

	// --- Connections ---

	const PAGE = 20;
	const flows = { offset: 0, sort: "age", inView: false };

	function flowQuery() {
		const query = new URLSearchParams({ limit: PAGE, offset: flows.offset, sort: flows.sort });
		for (const name of ["state", "client", "vni"]) {
			const value = $("filter-" + name).value.trim();
			if (value) query.set(name, value);
		}
		return "flows?" + query;
	}
	async function askFlows() {
		try {
			showFlows(await ask(flowQuery()));
			flowsError("");
		} catch (err) {
			if (err.status !== 400) throw err;
			flowsError(err.text.replace(/^"client": /, "Client: "));
		}
	}
	function flowsError(text) {
		put($("filter-error"), text);
		$("filter-client").setAttribute("aria-invalid", String(text !== ""));
	}
	function makeFlow() {
		const badge = el("span", "badge", icon(), el("span"));
		const row = el("tr", "", scoped(el("th")), el("td", "", badge));
		for (const c of ["n", "n", "n", "n", "", "n", "", ""]) row.append(el("td", c));
		return row;
	}
	function fillFlow(row, f) {
		const [client, state, ...rest] = row.children;
		put(client, f.client);
		setLevel(state.firstChild, STATE_LEVELS[f.state] ?? "note");
		put(state.firstChild.lastChild, f.state);
		const texts = [bytes(f.held), bytes(f.bytes), duration(f.last_packet), duration(f.age), f.picked_up ? "a request" : "its SYN", f.vni, f.server, f.service];
		texts.forEach((text, i) => put(rest[i], text));
	}
	function showFlows(page) {
		if (!page.flows.length && flows.offset) { // they have become fewer
			flows.offset = 0;
			hurry();
		}
		sync($("flow-rows"), page.flows, (f) => `${f.service} ${f.vni} ${f.client} ${f.server}`, makeFlow, fillFlow);
		const last = page.offset + page.flows.length;
		put($("flows-count"), `${whole(page.total)} followed`);
		put($("flows-range"), page.flows.length ? `${whole(page.offset + 1)} to ${whole(last)} of ${whole(page.matched)}` : "");
		put($("flows-none"), page.total ? "None of them is as the filter says." : "No connection is followed at the moment.");
		$("flows-none").hidden = page.flows.length > 0;
		$("flows-back").disabled = page.offset === 0;
		$("flows-next").disabled = last >= page.matched;
	}
	// refilter shows the first page of what is asked for now.
	function refilter() {
		flows.offset = 0;
		hurry();
	}
	function turn(by) {
		flows.offset = Math.max(0, flows.offset + by * PAGE);
		hurry();
	}
	function sortBy(th) {
		flows.sort = th.dataset.sort;
		for (const other of document.querySelectorAll("th[data-sort]")) other.removeAttribute("aria-sort");
		th.setAttribute("aria-sort", "descending");
		refilter();
	}
	function setUpFlows() {
		for (const { name, shown } of WORDS.states) {
			$("filter-state").append(new Option(name, name));
			$("states").append(el("dt", "", name), el("dd", "", shown));
		}
		$("filter").addEventListener("submit", (event) => event.preventDefault());
		$("filter").addEventListener("input", refilter);
		$("flows-back").addEventListener("click", () => turn(-1));
		$("flows-next").addEventListener("click", () => turn(1));
		for (const th of document.querySelectorAll("th[data-sort]")) {
			th.firstChild.addEventListener("click", () => sortBy(th));
			if (th.dataset.sort === flows.sort) th.setAttribute("aria-sort", "descending");
		}
		// Listing the connections costs netmirror something: it is asked for while it
		// can be seen.
		new IntersectionObserver((entries) => {
			flows.inView = entries.at(-1).isIntersecting;
			if (flows.inView) hurry();
		}, { rootMargin: "200px" }).observe($("flows"));
	}
	function showVNIs(r) {
		const select = $("filter-vni");
		const all = [...new Set(r.services.flatMap((s) => s.vni.split(",")).filter((vni) => vni !== "any"))];
		sync(select, ["", ...all], (vni) => vni, (vni) => new Option(vni || "all", vni), () => {});
	}

	// --- Services ---

	function makeService() {
		const badge = el("span", "badge", icon(), el("span"));
		const row = el("tr", "", scoped(el("th")), el("td", "n", el("b", "share")), el("td", "", badge), el("td"));
		for (let i = 0; i < 8; i++) row.append(el("td", "n"));
		return row;
	}
	function fillService(row, s) {
		const [name, reached, state, address, ...figures] = row.children;
		put(name, s.name);
		const [level, word] = TARGETS[s.target.state] ?? TARGETS.unknown;
		setLevel(state.firstChild, level);
		put(state.firstChild.lastChild, word);
		state.title = s.target.error ?? "";
		const left = Object.values(s.left_out).reduce((a, b) => a + b, 0);
		put(address, s.target.address);
		setLevel(reached, s.level === "none" ? "note" : s.level);
		put(reached.firstChild, share(s.minute.bytes));
		reached.title = `since the start: ${share(s.start.bytes)}`;
		const texts = [bytes(s.start.lost), whole(s.start.lost_streams), whole(s.flows), whole(s.target.connections), whole(s.streams), bytes(s.bytes_received), bytes(s.bytes_forwarded), whole(left)];
		texts.forEach((text, i) => put(figures[i], text));
		figures.at(-1).title = s.over_rate ? `and ${whole(s.over_rate)} connections beyond --max-rate` : "";
	}
	// showServices lists them where they are several.
	function showServices(r) {
		$("services").hidden = $("services-link").hidden = r.services.length < 2;
		put($("services-count"), `${whole(r.services.length)}, of which ${whole(r.services.filter((s) => s.target.state === "fails").length)} have a target that does not answer`);
		sync($("service-rows"), r.services, (s) => s.name, makeService, fillService);
	}

	// --- Totals and settings ---

	function showSums(r) {
		const t = r.totals;
		showCounts("sums", [
			["packets received", "", whole(t.packets)], ["packets forwarded", "whose bytes, SYN, FIN or RST went into a stream", whole(t.packets_forwarded)],
			["packets held", "now: they wait for a missing one or for the target", whole(t.packets_held)],
			["payload received", "of the clients, repeats included", bytes(t.bytes_received)], ["payload forwarded", "as taken by the target's connections", bytes(t.bytes_forwarded)],
			["payload missing", `never came, or came truncated, in ${plural(t.holes, "hole")}`, bytes(t.missing_bytes)], ["payload of the servers", "not forwarded", bytes(t.server_bytes)],
			["payload held", "now", bytes(t.bytes_held)], ["streams opened", "", whole(t.streams)],
			["of them picked up", "they did not begin at a SYN", whole(t.picked_up)], ["connections followed", "now", whole(t.flows)],
			["attempts to connect to the target", `${whole(r.target.dial_errors)} failed`, whole(r.target.dials)],
			...requestSums(r.services),
		]);
	}
	// requestSums are what --mark-requests, --only-path and --only-host did: nothing where
	// no service uses them.
	function requestSums(services) {
		const sum = {};
		for (const s of services) for (const [name, n] of Object.entries(s.requests)) sum[name] = (sum[name] ?? 0) + n;
		return [
			["requests_marked", "requests marked", "with the lines of --mark-requests"],
			["requests_matched", "requests that match", "--only-path and --only-host let them pass"],
			["requests_not_matched", "requests left out", "they do not match; this is no loss"],
			["requests_head_too_large", "requests with a head too large", "they could not be judged, and are lost"],
			["streams_not_http1", "streams that are not HTTP/1", "no request in them can be told"],
			["streams_tunnel", "streams that became tunnels", "after an upgrade or CONNECT"],
			["streams_ambiguous", "streams that are ambiguous", "from some place on no request can be told"],
		].filter(([key]) => sum[key]).map(([key, name, meaning]) => [name, meaning, whole(sum[key])]);
	}
	function showCounts(id, rows) {
		const make = () => el("tr", "", scoped(el("th", "", el("span"), el("small"))), el("td", "n"));
		sync($(id), rows, ([name]) => name, make, (row, [name, meaning, count]) => {
			put(row.firstChild.firstChild, name);
			put(row.firstChild.lastChild, meaning);
			put(row.lastChild, count);
			row.className = count === "0" ? "zero" : "";
		});
	}
	function showTotals(r) {
		put($("totals-since"), `since ${clock(r.started)}`);
		showSums(r);
		const { ended } = r.totals; // maybe of a newer netmirror than the page
		const named = WORDS.ends.filter(({ name }) => name in ended);
		const further = Object.keys(ended).filter((name) => !WORDS.ends.some((end) => end.name === name)).map((name) => ({ name, shown: "" }));
		showCounts("outcomes", [...named, ...further].map(({ name, shown }) => [name, shown, whole(ended[name])]));
		const lost = Object.entries(r.totals.lost).sort((a, b) => b[1] - a[1]);
		showCounts("lost", lost.map(([name, n]) => [name, WORDS.losses[name] ?? "", whole(n)]));
		$("lost-none").hidden = lost.length > 0;
		$("lost").parentNode.hidden = lost.length === 0;
	}
	function showReloads({ done, failed, last }) {
		const times = (n) => `${whole(n)} ${n === 1 ? "time" : "times"}`;
		$("reloads").hidden = !last;
		put($("reloads"), last ? `Read again ${times(done)}${failed ? `, and ${times(failed)} with an error, which changed nothing` : ""}; last at ${clock(last)}.` : "");
	}
	function showSettings(r) {
		showReloads(r.reloads ?? {}); // an older netmirror than the page has none
		for (const [id, byDefault] of [["settings-set", false], ["settings-default", true]]) {
			sync($(id), r.settings.filter((s) => s.default === byDefault), (s) => `${s.service ?? ""}/${s.flag}`, () => el("div", "", el("dt"), el("dd")),
				(node, s) => fillCells(node, [(s.service ? s.service + ": " : "--") + s.flag, s.value || "none"]));
		}
	}

	// --- Asking ---

	const PATIENCE = 4000; // for one answer
	async function ask(path) {
		const abort = new AbortController();
		const timer = setTimeout(() => abort.abort(), PATIENCE);
		try {
			const answer = await fetch(path, { signal: abort.signal, cache: "no-store" });
			if (!answer.ok) {
				throw Object.assign(new Error(path), { status: answer.status, text: await answer.text() });
			}
			return await answer.json();
		} finally {
			clearTimeout(timer);
		}
	}
	// forget is for a clock that was set back, whose new samples are older than those
	// that there are.
	function forget() {
		past.samples = [];
		hurry();
	}
	async function poll() {
		try {
			const [report, history] = await Promise.all([ask("status.json"), paused ? null : ask("history.json?since=" + since())]);
			if (history) remember(history);
			if (report.now < since() - past.interval) forget();
			Object.assign(known, { report, answered: Date.now(), down: "", tries: 0 });
			if (!paused && flows.inView) await askFlows();
		} catch (err) {
			known.down = err.status ? ` (it answered ${err.status})` : "";
			known.tries++;
		}
		show();
	}
	function show() {
		document.body.classList.toggle("stale", known.tries > 0);
		showVerdict();
		const r = known.report;
		if (known.tries) return CHARTS.forEach(showLegend);
		put($("identity"), `${whatFor(r)} · running for ${duration(r.now - r.started)}`);
		put($("version"), `netmirror ${r.version}.`);
		showCards(r);
		showPlaces(r);
		sync($("problems"), problems(r), (p) => p.id, makeProblem, fillProblem);
		if (paused) return;
		drawCharts();
		showVNIs(r);
		showServices(r);
		showTotals(r);
		showSettings(r);
	}

	// hurry has the next poll come at once, or right behind the one under way.
	let hurried = false;
	let wake = () => {};
	function hurry() {
		hurried = true;
		wake();
	}
	function sleep(ms) {
		return new Promise((done) => {
			const timer = setTimeout(done, ms);
			wake = () => {
				clearTimeout(timer);
				done();
			};
		});
	}
	function delay() {
		if (document.hidden) return 15000; // the title goes on telling
		return known.tries ? Math.min(500 * 2 ** known.tries, 5000) : past.interval;
	}
	// confess says that the page is at fault, and not netmirror.
	function confess(err) {
		console.error(err);
		setLevel($("verdict"), "down");
		put($("headline"), "This page has failed");
		put($("summary"), `${err.message}. See status.json and metrics, below.`);
	}
	async function run() {
		for (;;) {
			hurried = false;
			await poll().catch(confess);
			if (!hurried) await sleep(delay());
		}
	}

	function setUpPause() {
		$("pause").addEventListener("click", () => {
			paused = !paused;
			$("pause").setAttribute("aria-pressed", String(paused));
			hurry();
		});
	}

	setUpPause();
	setUpCharts();
	setUpFlows();
	dark.addEventListener("change", () => known.report && drawCharts(true));
	document.addEventListener("visibilitychange", () => document.hidden || hurry());
	run();
})();
