// What is wrong, where the time went, destinations, slow requests and health: elements and text, no plots.

function drawHead() {
  const { head } = model;
  byId("sources").textContent = head.sources.join(", ");
  document.title = `${head.sources.join(", ")} – tcplens`;
  const many = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
  const parts = [];
  if (head.first !== undefined && head.last !== undefined) {
    const [from, to] = [head.first / 1e6, head.last / 1e6];
    parts.push(`${timeOf(from, true)} to ${timeOf(to, timeOf(from, true).slice(0, 10) !== timeOf(to, true).slice(0, 10))} ${clock.local ? "local time" : "UTC"} (${duration((to - from) * 1e9)})`);
  }
  parts.push(head.events === null || head.events === undefined ? `${many(head.packets, "packet")}, ${bytes(head.bytes)}` : many(head.events, "event"));
  parts.push(`${many(head.attempts, "connection attempt")}, ${many(head.connections, "connection")}, ${many(head.requests, "request")}, ${many(head.servers, "server")}, ${many(head.clients, "client")}`);
  if (head.filter) parts.push(`only: ${head.filter}`);
  byId("about").textContent = parts.join("; ");
}

const FIRST = 4; // Findings on the first screen.
let showsAll = false;

function drawFindings() {
  const box = byId("findings");
  const found = model.findings;
  if (!found) return;
  box.replaceChildren();
  if (!found.list.length) {
    box.append(make("div", { class: "card fine" },
      make("p", { class: "text" }, found.below ? "Nothing found that is called wrong." : "Nothing wrong found."),
      ...(found.below ? [make("p", {}, found.below)] : []),
      make("p", { class: "quiet" }, "Checked: " + found.checked)));
    return;
  }
  const shown = showsAll ? found.list : found.list.slice(0, FIRST);
  for (const finding of shown) {
    const code = make("code", {}, finding.show);
    const copy = make("button", { type: "button", title: "Copy the command that shows it", onclick: () => copyText(finding.show, code, copy) }, "Copy");
    box.append(make("div", { class: finding.suspect === "capture" ? "card capture" : "card" },
      make("div", { class: "head" },
        make("span", { class: "rank" }, finding.rank + "."),
        make("span", { class: "text" }, finding.text)),
      make("p", { class: "quiet" }, finding.evidence),
      make("div", { class: "tags" },
        make("span", { class: "tag" }, "suspect: " + finding.suspect),
        make("span", { class: "tag" }, finding.code),
        ...(finding.frames.length ? [make("span", { class: "tag" }, "first packets: " + finding.frames.join(", "))] : [])),
      make("div", { class: "show" }, code, copy, ...plotsOf(finding), ...storyOf(finding))));
  }
  const hidden = found.list.length - shown.length;
  if (hidden) box.append(make("button", { type: "button", onclick: () => { showsAll = true; drawFindings(); } }, `${hidden} more`));
  else if (showsAll && found.list.length > FIRST) box.append(make("button", { type: "button", onclick: () => { showsAll = false; drawFindings(); } }, "fewer"));
  if (found.more) box.append(make("p", { class: "quiet" }, `${count(found.more)} more were found and are left out.`));
}

/** A button that shows the plots of the destination that a finding is about, if there is one that has any. */
function plotsOf(finding) {
  const named = finding.text.match(/[0-9a-f:.[\]]+:\d+/g) || [];
  const name = named.find((word) => model.courses.has(word));
  if (!name) return [];
  const look = () => {
    if (view.destination !== name) chooseDestination(name);
    byId("bar").scrollIntoView();
  };
  return [make("button", { type: "button", title: `Plots of ${name} only`, onclick: look }, "Its plots")];
}

/** A button that tells the life of a connection with one of its packets, if the page has it. */
function storyOf(finding) {
  if (!finding.story || !model.stories.all.has(finding.story)) return [];
  return [make("button", { type: "button", title: "The life of one of these connections", onclick: () => chooseStory(finding.story, true) }, "A connection")];
}

/** Columns of destinations: key, heading, what it means, value, how it is written, whether it is text. */
const COLUMNS = [
  ["name", "destination", "Server and port", (r) => r.name, null, true],
  ["protocols", "speaks", "Protocols that were recognised", (r) => r.protocols, null, true],
  ["requests", "requests", "Requests seen", (r) => r.requests, count],
  ["errors", "errors", "Requests answered with an error", (r) => r.errors, count],
  ["unanswered", "unans.", "Requests without an answer", (r) => r.unanswered, count],
  ["p50", "p50", "Half of the requests took at most this", (r) => r.p50, duration],
  ["p95", "p95", "95 % of the requests took at most this", (r) => r.p95, duration],
  ["p99", "p99", "99 % of the requests took at most this", (r) => r.p99, duration],
  ["max", "longest", "The longest took this", (r) => r.max, duration],
  ["budget", "time went to", "Parts of the time of its requests, as above", (r) => r.budget.reduce((n, ns) => n + ns, 0), null],
  ["attempts", "attempts", "Attempts to connect", (r) => r.attempts, count],
  ["failed", "failed", "Attempts that failed", (r) => r.failed, count],
  ["connect", "connect p99", "99 % of the handshakes took at most this", (r) => r.c99, duration],
  ["bytes", "bytes", "Payload of connections that are over, both ways", (r) => r.bytes, bytes],
  ["loss", "lost", "Segments lost between here and it, of those that have to be acknowledged", (r) => (r.segments ? r.lost / r.segments : null), (v) => (v === null ? "–" : percent(v, 1))],
  ["rtt", "round trip", "Mean round trip between here and it", (r) => r.rtt, duration],
];
const WHOLE = ["max", "connect", "bytes", "loss", "rtt"]; // Not known by time.
const ALARM = ["errors", "unanswered", "failed"];

/** The rows as they are now: of a range, summed from the courses of those that have one. */
function rowsNow() {
  const rows = [...model.rows.values()];
  if (!view.range) return rows;
  return rows.map((row) => {
    const own = model.courses.get(row.name);
    const blank = { ...row, requests: null, errors: null, unanswered: null, p50: null, p95: null, p99: null, max: null, attempts: null, failed: null, c99: null, bytes: null, segments: 0, rtt: null, budget: [] };
    if (!own) return blank;
    const total = sum(slots(own, view.range));
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => quantile(total.latency, share));
    return { ...blank, requests: total.requests, errors: total.errors, unanswered: total.unanswered, p50, p95, p99, attempts: attempts(total.outcomes), failed: failed(total.outcomes), c99: quantile(total.connect, 0.99), bytes: total.bytes, budget: total.budget };
  });
}

const weight = (row) => (row.requests || 0) + (row.attempts || 0) + 10 * ((row.errors || 0) + (row.unanswered || 0) + (row.failed || 0));

const kept = new Map(); // Rows of the table by destination: kept, so that focus and selection stay.

function drawDestinations() {
  const table = byId("destinations");
  const head = make("tr", {}, ...COLUMNS.map(([key, heading, meaning, , , isText]) => {
    const [sorted, down] = view.sort;
    const arrow = key === sorted ? (down ? " ▼" : " ▲") : "";
    const sort = () => { view.sort = [key, key === sorted ? !down : !isText]; drawDestinations(); };
    return make("th", { class: isText ? "l" : null, title: meaning, "aria-sort": key === sorted ? (down ? "descending" : "ascending") : null }, make("button", { type: "button", onclick: sort }, heading + arrow));
  }));
  const focused = table.tHead.contains(document.activeElement) ? [...table.tHead.querySelectorAll("button")].indexOf(document.activeElement) : -1;
  table.tHead.replaceChildren(head);
  if (focused >= 0) table.tHead.querySelectorAll("button")[focused].focus();
  const { passes, problems } = filterOf(view.filter, COLUMNS, (row) => row.name + " " + row.protocols);
  const all = rowsNow();
  const rows = all.filter(passes);
  const [key, down] = view.sort;
  const column = COLUMNS.find(([name]) => name === key);
  const value = column ? column[3] : weight;
  rows.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || x === undefined) return y === null || y === undefined ? 0 : 1;
    if (y === null || y === undefined) return -1;
    const order = x < y ? -1 : x > y ? 1 : 0;
    return (down ? -order : order) || weight(b) - weight(a);
  });
  const body = table.tBodies[0];
  const elements = rows.map(rowElement);
  const same = body.children.length === elements.length && elements.every((element, n) => body.children[n] === element);
  if (!same) body.replaceChildren(...elements);
  for (const name of kept.keys()) if (!model.rows.has(name)) kept.delete(name);
  byId("filter-says").textContent = problems.length ? problems.join("; ") : view.filter ? `${count(rows.length)} of ${count(all.length)}` : "";
  byId("dest-note").textContent = noteOfDestinations();
}

function noteOfDestinations() {
  const [known, rest, requests, tried, connections] = model.others;
  const notes = ["Choose a row to see its plots."];
  if (rest) notes.push(`Of ${count(known)} destinations the ${count(known - rest)} with most requests, attempts and troubles are listed; the other ${count(rest)} had ${count(requests)} requests, ${count(tried)} attempts and ${count(connections)} connections.`);
  const seated = model.courses.size - 2;
  if (known > seated) notes.push(`${count(seated)} have plots of their own.`);
  if (view.range) notes.push("Of the chosen time, percentiles are within 6 %; what is not known by time is –.");
  return notes.join(" ");
}

function rowElement(row) {
  let element = kept.get(row.name);
  if (!element) {
    element = make("tr", { class: "pick", tabindex: 0 }, ...COLUMNS.map(([, , , , , isText]) => make("td", { class: isText ? "l" : null })));
    const pick = () => chooseDestination(row.name);
    element.addEventListener("click", pick);
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(); }
    });
    kept.set(row.name, element);
  }
  const own = model.courses.get(row.name);
  element.classList.toggle("chosen", view.destination === row.name);
  element.title = own ? (own.isLate ? "Its plots begin late: before, it was among the others" : "") : "Has no plots of its own: there are too many destinations";
  COLUMNS.forEach(([key, , , value, write, isText], at) => {
    const cell = element.cells[at];
    if (key === "budget") return drawMini(cell, row.budget);
    const v = value(row);
    const text = isText ? v : write(v);
    if (cell.textContent !== text) cell.textContent = text;
    if (ALARM.includes(key)) cell.classList.toggle("bad", v > 0);
  });
  return element;
}

/** What is not zero, in words where these are known. */
const LOSSES = {
  kernel_drops: "packets dropped by the kernel", event_drops: "events dropped in the ring buffer: requests or connections are missing",
  cut_packets: "packets cut by the snap length: contents are incomplete", duplicates: "segments seen a second time and counted once",
  bad_checksums: "packets with a wrong checksum", time_reversals: "packets older than one before",
  evicted_connections: "connections given up because a table was full", late_syns: "SYNs of attempts that had been concluded",
  late_segments: "segments of connections that had been reported", stream_gaps: "holes in what requests are read from: some of them are missing",
  damaged_at: "is the byte at which the input is damaged", accept_overflows: "connections that the kernel dropped for a full accept queue",
};
const LISTS = { undecoded: "not TCP, or not decoded", unparsed_messages: "messages of requests that could not be read", limit_hits: "bounds reached", records_dropped: "records that a destination did not take" };

function drawHealth() {
  const { health } = model;
  const list = make("ul");
  for (const [name, words] of Object.entries(LOSSES)) if (health[name]) list.append(make("li", {}, `${count(health[name])} ${words}`));
  for (const [name, words] of Object.entries(LISTS)) {
    const counts = Object.entries(health[name] || {}).filter(([, n]) => n > 0);
    if (counts.length) list.append(make("li", {}, `${words}: ${counts.map(([word, n]) => `${count(n)} ${word}`).join(", ")}`));
  }
  const seen = health.kernel_events === undefined ? `${count(health.packets)} packets, ${count(health.tcp_segments)} TCP segments` : `${count(health.kernel_events)} events`;
  byId("health").replaceChildren(make("p", {}, list.children.length ? `${seen} were seen, and:` : `${seen} were seen, and nothing was lost.`), list);
}

function drawNotes() {
  const { head } = model;
  const all = model.courses.get("*");
  const widths = [...model.courses].filter(([name]) => name && name !== "*").map(([, own]) => own.width);
  const notes = [
    `A slice of time is ${duration((all ? all.width : 1) * 1e9)} long${widths.length ? `, of one destination up to ${duration(Math.max(...widths) * 1e9)}` : ""}; the first and the last may be shorter. A request counts where its first byte was seen.`,
    "Percentiles in plots are within 6 %, those of the table of the whole time within 1 %.",
    `At most ${count(head.seats)} destinations have plots, and the slowest requests are kept with up to 8 requests before and after each.`,
  ];
  const beyond = [...model.courses.values()].reduce((n, own) => n + own.beyond, 0);
  if (beyond) notes.push(`${count(beyond)} records are so far from the rest in time that no slice holds them.`);
  if (head.on_purpose) notes.push(`${count(head.on_purpose)} requests that wait on purpose (BLPOP and such) are not among the slowest.`);
  notes.push(`tcplens ${head.version}. Everything is in this page; nothing is fetched from anywhere${head.live && isServed ? " but this run" : ""}.`);
  byId("notes").replaceChildren(...notes.map((note) => make("li", {}, note)));
}
