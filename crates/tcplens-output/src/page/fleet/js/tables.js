// Numbers in large, what is abnormal, and the tables of servers, operations and hosts: elements and text.

function drawHead() {
  const { doc } = model;
  byId("sources").textContent = doc.store;
  document.title = `${doc.store} – tcplens fleet`;
  const many = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
  const hosts = doc.hosts.rows.length + doc.hosts.joined;
  const parts = [`${moment(doc.from)} to ${moment(doc.to)} ${clock.local ? "local time" : "UTC"}`, `slices of ${long(doc.width)}`, many(hosts, "host"), many(doc.servers.rows.length + doc.servers.joined, "server")];
  if (doc.extent.length) parts.push(`the store has ${moment(doc.extent[0])} to ${moment(doc.extent[1])}`);
  byId("about").textContent = parts.join("; ");
}

/** How long a slice is: whole minutes. */
const long = (s) => (s % 86400 === 0 ? `${s / 86400} d` : s % 3600 === 0 ? `${s / 3600} h` : `${s / 60} min`);

/** Date and time to the minute. */
const moment = (s) => timeOf(s, true).slice(0, 16);

function drawTiles() {
  const { total, from, to } = model.doc;
  const span = Math.max(to - from, 1);
  const decided = total.established + total.failed;
  const tile = (number, words, isBad) => make("div", { class: isBad ? "tile bad" : "tile" }, make("b", {}, number), make("span", {}, words));
  const tiles = [tile(three(total.requests / span) + "/s", `requests (${count(total.requests)})`)];
  if (total.requests) {
    tiles.push(tile(percent(total.errors, Math.max(total.answered, total.errors)), `answered with an error (${count(total.errors)})`, total.errors > total.answered / 100));
    tiles.push(tile(count(total.unanswered), "requests without an answer", total.unanswered > total.requests / 1000));
    tiles.push(tile(duration(total.p50), "half took at most this"), tile(duration(total.p99), "99 % took at most this"));
  }
  if (total.attempts) {
    tiles.push(tile(percent(total.failed, decided), `of attempts to connect failed (${count(total.failed)})`, total.failed > decided / 100));
    tiles.push(tile(duration(total.c99), "99 % connected within this"));
  }
  if (total.data_segments) tiles.push(tile(percent(total.data_repeats, total.data_segments), "of segments were repeated", total.data_repeats > total.data_segments / 100));
  byId("tiles").replaceChildren(...tiles);
}

const FIRST = 6; // Findings on the first screen.
let showsAll = false;

function drawFindings() {
  const box = byId("findings");
  const { marks: found, more_marks: more, to, extent: has } = model.doc;
  box.replaceChildren();
  if (!found.length) {
    box.append(make("div", { class: "card fine" }, make("p", { class: "text" }, "The store has no finding of this time."),
      make("p", { class: "quiet" }, "Agents that watch (`anomalies:` in their file) keep what they find in their stores; `tcplens anomalies --store DIR` looks for it in any.")));
    return;
  }
  const newest = has.length ? has[1] : to;
  const cards = make("div", { class: "cards" });
  for (const mark of showsAll ? found : found.slice(0, FIRST)) {
    const isOver = mark.to !== undefined && mark.to < newest - 300;
    const when = mark.from === undefined ? "" : `${moment(mark.from)}${mark.to === undefined ? "" : ` to ${timeOf(mark.to, false).slice(0, 5)}`}${isOver ? "" : ", still so"}`;
    const tag = (text) => make("span", { class: "tag" }, text);
    const tags = [mark.component && "component: " + mark.component, mark.metric, mark.suspect && "suspect: " + mark.suspect, mark.code !== "abnormal" && mark.code, mark.host && "found by " + mark.host, mark.p_value && "by chance: " + mark.p_value].filter(Boolean);
    const look = () => {
      const filter = Object.fromEntries(FILTERS.filter((name) => name !== "host" && mark[name]).map((name) => [name, mark[name]]));
      const half = Math.max(((mark.to ?? to) - mark.from) / 2, 900);
      go({ range: mark.from === undefined ? null : [mark.from - half, (mark.to ?? to) + half], filter });
      byId("h-time").scrollIntoView();
    };
    cards.append(make("div", { class: isOver ? "card over" : "card" },
      make("p", { class: "text" }, mark.text || mark.code), ...(mark.evidence ? [make("p", { class: "quiet" }, mark.evidence)] : []),
      make("div", { class: "tags" }, ...(when ? [make("b", {}, when)] : []), ...(isServed ? [make("button", { type: "button", onclick: look }, "Look there")] : []), ...tags.map(tag))));
  }
  box.append(cards);
  const hidden = found.length - FIRST;
  if (hidden > 0) box.append(make("p", {}, make("button", { type: "button", onclick: () => { showsAll = !showsAll; drawFindings(); } }, showsAll ? "fewer" : `${hidden} more`)));
  if (more) box.append(make("p", { class: "quiet" }, `${count(more)} more are in the store, and not shown.`));
}

const share = (part, whole) => (whole ? part / whole : null);
const inPercent = (v) => (v === null || v === undefined ? "–" : percent(v, 1));
const orNull = (name) => (row) => row[name] ?? null;

/** Columns: key, heading, what it means, value, how it is written, whether it is text. */
const SHARED = [
  ["requests", "requests", "Requests that ended", (r) => r.requests, count],
  ["errors", "errors", "Answered with an error", (r) => r.errors, count],
  ["unanswered", "no answer", "Owed an answer that never came to its end", (r) => r.unanswered, count],
  ["p50", "p50", "Half of the answered requests took at most this", orNull("p50"), duration],
  ["p95", "p95", "95 % of them", orNull("p95"), duration],
  ["p99", "p99", "99 % of them", orNull("p99"), duration],
  ["max", "max", "The longest, within 0.8 %", orNull("max"), duration],
];
const OF_CONNECTIONS = [
  ["attempts", "attempts", "Attempts to connect", (r) => r.attempts, count],
  ["failed", "failed", "Of these, refused, unreachable, without an answer, given up", (r) => r.failed, count],
  ["connect", "connect", "99 % of the attempts were established within this", orNull("c99"), duration],
  ["resets", "resets", "Connections that ended by RST", (r) => r.resets, count],
  ["loss", "repeated", "Share of segments that were repeated; – where nobody saw packets", (r) => (r.data_segments === undefined ? null : share(r.data_repeats, r.data_segments)), inPercent],
  ["rtt", "rtt", "Mean round trip, both halves of the path", orNull("rtt_ns"), duration],
];
const PICTURES = [
  ["load", "over time", "Requests (or attempts) by time, and what went wrong in red", null, drawLoad],
  ["slow", "p99 over time", "99 % of the requests took at most this, by time; 0 is the bottom, the largest of the row the top", null, drawTime],
];
const name = (key, heading, meaning) => [key, heading, meaning, (r) => r[key] ?? "–", null, true];
const BUDGET = ["budget", "mostly", "Where the time went: the pointer tells", null, (cell, row) => drawMini(cell, row.budget || [])];
const TABLES = {
  servers: [name("server", "server", "Address and port"), ...PICTURES, ...SHARED, ...OF_CONNECTIONS, BUDGET],
  operations: [name("server", "server", "Address and port"), name("protocol", "speaks", "Protocol"), name("operation", "operation", "What is asked for"), ...PICTURES, ...SHARED,
    ["time", "time in all", "How long all of them took together", (r) => r.time_ns, duration], BUDGET],
  hosts: [name("host", "host", "Where it was observed"), ...PICTURES, ...SHARED.filter(([key]) => key !== "max"), ...OF_CONNECTIONS.filter(([key]) => key !== "resets"),
    ["lost", "not whole", "Requests, attempts and connections during which the observation itself lost something", (r) => r.capture_losses, count]],
};
const ALARM = ["errors", "unanswered", "failed", "lost"];
const rowWord = (row) => [row.server, row.protocol, row.operation, row.host].filter(Boolean).join(" ");

/** A table, sorted and filtered; a row chosen is one more filter. */
function drawTable(which) {
  const columns = TABLES[which];
  const table = byId(which);
  const [sorted, down] = view.sort[which];
  const focused = table.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const head = columns.map(([key, heading, meaning, value, , isText]) => {
    const sort = () => { view.sort[which] = [key, key === sorted ? !down : !isText]; drawTable(which); };
    const arrow = key === sorted ? (down ? " ▼" : " ▲") : "";
    return make("th", { class: isText || !value ? "l" : null, title: meaning, "aria-sort": key === sorted ? (down ? "descending" : "ascending") : null },
      value ? make("button", { type: "button", "data-key": "head " + key, onclick: sort }, heading + arrow) : heading);
  });
  table.tHead.replaceChildren(make("tr", {}, ...head));
  const { passes, problems } = filterOf(view.words, columns.filter(([, , , value]) => value), rowWord);
  const column = columns.find(([key]) => key === sorted);
  const value = column ? column[3] : (row) => row.weight;
  const all = model.doc[which];
  const rows = all.rows.filter(passes).sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return x === y ? b.weight - a.weight : x === null ? 1 : -1;
    const order = x < y ? -1 : x > y ? 1 : 0;
    return (down ? -order : order) || b.weight - a.weight;
  });
  const body = rows.map((row) => rowElement(which, columns, row, () => pick(which, row)));
  if (all.others && !view.words) body.push(rowElement(which, columns, { ...NOTHING, ...all.others, [columns[0][0]]: "all others" }, null));
  table.tBodies[0].replaceChildren(...body);
  if (focused) [...table.querySelectorAll("[data-key]")].find((element) => element.dataset.key === focused)?.focus({ preventScroll: true });
  const notes = [];
  if (!all.rows.length) notes.push(which === "operations" && model.doc.total.attempts ? "No requests here: of these connections only attempts, endings and segments are known." : "Nothing here.");
  if (all.joined) notes.push(`${count(all.joined)} more were counted together as “all others”, those that matter least; a row marked * may have been among them for a while.`);
  if (problems.length) notes.push(problems.join("; "));
  byId(which + "-note").textContent = notes.join(" ");
  if (which === "servers") byId("filter-says").textContent = view.words ? `${count(rows.length)} of ${count(all.rows.length)} servers` : "";
}

function rowElement(which, columns, row, choose) {
  const element = make("tr", choose ? { class: isChosen(which, row) ? "pick chosen" : "pick", tabindex: 0, "data-key": rowWord(row) } : { class: "others" });
  for (const [key, , , value, write, isText] of columns) {
    const cell = make("td", { class: isText ? "l" : value ? null : "l pic" });
    if (!value) write(cell, row);
    else {
      const v = value(row);
      cell.append(isText ? String(v) : write(v));
      if (ALARM.includes(key) && v > 0) cell.classList.add("bad");
    }
    element.append(cell);
  }
  if (row.late) element.cells[0].append("*");
  const wrong = choose ? marksOf(row) : [];
  if (wrong.length) element.cells[0].append(make("span", { class: "abnormal", title: wrong.map((mark) => mark.text || mark.code).join("\n") }, "▲"));
  if (choose && (isServed || embedded.documents[row.server])) {
    element.addEventListener("click", choose);
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); }
    });
  }
  return element;
}

const namesOf = { servers: ["server"], operations: ["server", "protocol", "operation"], hosts: ["host"] };

function isChosen(which, row) {
  return namesOf[which].every((name) => (row[name] ?? "") === (view.filter[name] ?? "")) && namesOf[which].some((name) => view.filter[name]);
}

/** A row more to filter by; once more, and it is none any longer. */
function pick(which, row) {
  const filter = { ...view.filter };
  const was = isChosen(which, row);
  for (const name of namesOf[which]) {
    if (was || row[name] === undefined) delete filter[name];
    else filter[name] = row[name];
  }
  go({ filter });
}

/** Bars of load with what went wrong upon them, as two paths. */
function drawLoad(cell, row) {
  const many = row.strip.map(([requests, attempts]) => requests || attempts || 0);
  const bad = row.strip.map(([, , troubles]) => troubles || 0);
  const most = Math.max(...many, ...bad, 1);
  const step = 110 / Math.max(row.strip.length, 1);
  const bars = (list, least) => list.map((n, at) => (n ? `M${(at + 0.5) * step} 21V${21 - Math.max((n / most) * 20, least)}` : "")).join("");
  cell.append(svg("svg", { class: "strip", viewBox: "0 0 110 22", role: "img", "aria-label": `up to ${count(most)}` },
    svg("path", { class: "edge", d: "M0 21.5H110" }), svg("path", { class: "many", "stroke-width": step - 0.6, d: bars(many, 1) }), svg("path", { class: "trouble", "stroke-width": step - 0.6, d: bars(bad, 2.5) })));
}

/** A line of the 99 %. */
function drawTime(cell, row) {
  const list = row.strip.map((pip) => pip[3] || 0);
  const most = Math.max(...list);
  if (!most) return cell.append("–");
  const step = 110 / list.length;
  const points = list.map((ns, at) => (ns ? `${list[at - 1] ? "L" : "M"}${((at + 0.5) * step).toFixed(1)} ${(21 - (ns / most) * 19).toFixed(1)}${list[at - 1] || list[at + 1] ? "" : "h2"}` : "")).join("");
  cell.append(svg("svg", { class: "strip", viewBox: "0 0 110 22", role: "img", "aria-label": `at most ${duration(most)}` },
    svg("title", {}, `at most ${duration(most)}`), svg("path", { class: "edge", d: "M0 21.5H110" }), svg("path", { class: "time", d: points })));
}

function drawNotes() {
  const { doc } = model;
  const notes = [
    `A request counts in the minute in which it ended, as the rollups have it (docs/store.md); a slice of time is ${long(doc.width)} long here. ${count(doc.rollups)} rollups of ${count(doc.files)} ${doc.parts} were read, in ${duration(doc.took_ns)}.`,
    "Counts are exact; percentiles within 0.8 %, those of the small pictures and the heat map within 6 %.",
  ];
  if (view.filter.protocol || view.filter.operation) notes.push("Of a protocol or an operation there are requests only: attempts and connections do not know it.");
  if (doc.total.capture_losses) notes.push(`During ${count(doc.total.capture_losses)} requests, attempts and connections the observation itself lost something.`);
  for (const damage of doc.damages) notes.push("Could not be read: " + damage);
  if (doc.more_damages) notes.push(`${count(doc.more_damages)} more could not be read.`);
  notes.push(`tcplens ${doc.version}. Nothing is fetched from anywhere${isServed ? " but from the tcplens that serves this page" : "; this file has all of it, and plots of the servers that matter most"}.`);
  byId("notes").replaceChildren(...notes.map((note) => make("li", {}, note)));
}
