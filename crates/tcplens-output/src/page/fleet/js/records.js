// Down to single records, and the queries that come along: fetched when somebody asks for them, and drawn as tables.

/** What records there are to see: name, what the button says. The server knows the same names: tcplens_output::store::VIEWS. */
const VIEWS = [
  ["slow-requests", "slowest requests"], ["bad-requests", "requests that failed"], ["new-requests", "newest requests"],
  ["failed-attempts", "failed attempts"], ["slow-attempts", "slowest connects"], ["lossy-connections", "connections with most repeats"], ["reset-connections", "resets"],
];

const fetched = { view: null, query: null, numbers: { view: 0, query: 0 } };

/** What is asked for, as parameters of an address: times, and what passes. */
function parameters(more) {
  const all = new URLSearchParams(more);
  if (view.range) {
    all.set("from", Math.floor(view.range[0]));
    all.set("to", Math.ceil(view.range[1]));
  } else all.set("last", view.last);
  for (const name of FILTERS) if (view.filter[name]) all.set(name, view.filter[name]);
  return all;
}

/** Asks for JSON; what is refused is an error with the words of who refused. */
async function ask(path, search) {
  const response = await fetch(`${path}?${search}`, { cache: "no-store" });
  if (!response.ok) throw new Error((await response.text()).trim());
  return response.json();
}

function drawViews() {
  byId("records").hidden = !isServed;
  byId("views").replaceChildren(...VIEWS.map(([name, words]) => make("button", { type: "button", class: view.records === name ? "on" : null, "aria-pressed": String(view.records === name), onclick: () => look(name) }, words)));
  if (!view.records) byId("records-note").textContent = "Choose what to see of what is shown above, down to single requests, attempts and connections.";
}

/** Looks at records, or at none any longer. */
function look(name) {
  view.records = view.records === name ? null : name;
  drawViews();
  fetchRecords();
}

async function fetchRecords() {
  const number = ++fetched.numbers.view;
  const [box, note, show] = ["records-box", "records-note", "records-show"].map(byId);
  if (!view.records) {
    box.hidden = show.hidden = true;
    return drawViews();
  }
  note.textContent = "Looking…";
  box.classList.add("waits");
  try {
    const answer = await ask("records.json", parameters({ view: view.records }));
    if (number !== fetched.numbers.view) return;
    fetched.view = answer;
    drawRecords();
  } catch (error) {
    if (number !== fetched.numbers.view) return;
    box.hidden = show.hidden = true;
    note.textContent = error.message;
  } finally {
    box.classList.remove("waits");
  }
}

function drawRecords() {
  const { columns, rows, matched, parts, files, unread, damages, command, why } = fetched.view;
  byId("records-box").hidden = !rows.length;
  drawRows(byId("rows"), columns, rows);
  const notes = [rows.length < matched ? `${count(rows.length)} of ${count(matched)}.` : `${count(rows.length)} in all.`];
  if (parts === "files") notes.push(`${count(files)} files were read.`);
  if (unread) notes.push(`${count(unread)} files were not, for ${why}: choose a shorter time or a host.`);
  notes.push(...damages.map((damage) => "Could not be read: " + damage));
  byId("records-note").textContent = notes.join(" ");
  drawCommand(byId("records-show"), command);
}

function drawCommand(box, command) {
  box.hidden = !command;
  if (!command) return;
  const code = make("code", {}, command);
  const copy = make("button", { type: "button", title: "Copy the command that shows it", onclick: () => copyText(command, code, copy) }, "Copy");
  box.replaceChildren(code, copy);
}

/** How a value of a column is written: by the unit that its name ends in. */
function written(column, value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "object") return JSON.stringify(value);
  if (typeof value !== "number") return String(value).replace(/^(\d{4}-\d\d-\d\d)T([\d:]+)\.(\d{3})\d*Z$/, "$1 $2.$3");
  if (column.endsWith("_us")) return duration(value * 1e3);
  if (column.endsWith("_ns")) return duration(value);
  if (column.endsWith("_bytes")) return bytes(value);
  if (column === "server_port" || column === "client_port") return String(value);
  if (column.endsWith("_percent")) return three(value) + " %";
  return Number.isInteger(value) ? count(value) : three(value);
}

function drawRows(table, columns, rows) {
  const isText = columns.map((_, at) => rows.every((row) => typeof row[at] !== "number"));
  table.tHead.replaceChildren(make("tr", {}, ...columns.map((column, at) => make("th", { class: isText[at] ? "l" : null }, column.replace(/_(us|ns)$/, "").replaceAll("_", " ")))));
  table.tBodies[0].replaceChildren(...rows.map((row) => make("tr", {}, ...columns.map((column, at) => {
    const text = written(column, row[at]);
    return make("td", { class: isText[at] ? "l what" : null, title: text.length > 40 ? text : null }, text);
  }))));
}

/** The queries that come along: which there are is asked once. */
async function drawQueries() {
  if (!isServed) return;
  try {
    const { queries, how } = await ask("queries.json", "");
    byId("queries").hidden = false;
    fetched.queries = queries;
    if (how) {
      byId("query-note").textContent = how;
      return byId("query-names").replaceChildren(...queries.map(({ name, title }) => make("button", { type: "button", disabled: true, title }, name)));
    }
    byId("query-note").textContent = "Queries that come along, over the time and server shown above; the pointer tells what each answers.";
    drawQueryNames();
  } catch (error) {
    console.info(String(error));
  }
}

function drawQueryNames() {
  byId("query-names").replaceChildren(...fetched.queries.map(({ name, title }) => make("button", { type: "button", title, class: view.query === name ? "on" : null, onclick: () => { view.query = view.query === name ? null : name; drawQueryNames(); fetchQuery(); } }, name)));
}

async function fetchQuery() {
  const number = ++fetched.numbers.query;
  const [box, note, plot, show] = ["query-box", "query-note", "query-plot", "query-show"].map(byId);
  if (!view.query) {
    box.hidden = plot.hidden = show.hidden = true;
    note.textContent = "";
    return;
  }
  note.textContent = "Asking…";
  box.classList.add("waits");
  try {
    const answer = await ask("query.json", parameters({ name: view.query }));
    if (number !== fetched.numbers.query) return;
    // What is absent in a row is not in its object.
    answer.columns = [...new Set(answer.lines.flatMap(Object.keys))];
    answer.rows = answer.lines.map((line) => answer.columns.map((column) => line[column] ?? null));
    fetched.query = answer;
    drawQuery();
  } catch (error) {
    if (number !== fetched.numbers.query) return;
    box.hidden = plot.hidden = show.hidden = true;
    note.textContent = error.message;
  } finally {
    box.classList.remove("waits");
  }
}

function drawQuery() {
  const { title, columns, rows, more, note, plot, command } = fetched.query;
  byId("query-box").hidden = !rows.length;
  byId("query-note").textContent = [title[0].toUpperCase() + title.slice(1) + ".", rows.length ? "" : "Nothing of this time.", more ? "Only the first rows are shown: the answer is longer." : "", note || ""].filter(Boolean).join(" ");
  drawRows(byId("answer"), columns, rows);
  drawCommand(byId("query-show"), command);
  const box = byId("query-plot");
  box.hidden = !rows.length || !plot;
  if (!box.hidden) box.replaceChildren(...pictureOf(plot, columns, rows));
}

const BARS = 30;

/** A plot of an answer: bars, divided bars, lines over time, a heat map. */
function pictureOf(plot, columns, rows) {
  const at = (name) => columns.indexOf(name);
  const label = (row) => plot.labels.map((name) => row[at(name)]).filter((part) => part !== null && part !== undefined).join(" ");
  const width = Math.max(byId("queries").clientWidth - 20, 600);
  const text = (x, y, words, more) => svg("text", { x, y, ...more }, words.length > 46 ? words.slice(0, 45) + "…" : words, svg("title", {}, words));
  if (plot.kind === "bars" || plot.kind === "stack") {
    const list = rows.slice(0, BARS);
    const parts = plot.kind === "bars" ? [[plot.value, "server"]] : plot.parts.map((name, n) => [name, PARTS.find((part) => name.includes(part)) || HUES[n % HUES.length]]);
    const sums = list.map((row) => parts.reduce((n, [name]) => n + (Number(row[at(name)]) || 0), 0));
    const most = Math.max(...sums, 1e-9);
    const room = width - 320 - 110;
    const picture = svg("svg", { width, height: list.length * 20 + 6, role: "img", "aria-label": "a bar for each row" });
    list.forEach((row, n) => {
      let x = 320;
      picture.append(text(4, n * 20 + 15, label(row)));
      for (const [name, part] of parts) {
        const value = Number(row[at(name)]) || 0;
        const long = (value / (plot.kind === "stack" ? sums[n] || 1 : most)) * room;
        if (long > 0) picture.append(svg("rect", { class: part, x, y: n * 20 + 3, width: Math.max(long, 1), height: 14 }, svg("title", {}, `${name}: ${written(name, value)}`)));
        x += long;
      }
      picture.append(text(x + 6, n * 20 + 15, plot.kind === "bars" ? written(plot.value, row[at(plot.value)]) : written(parts[0][0], sums[n])));
    });
    return [picture, ...(rows.length > BARS ? [make("p", { class: "quiet" }, `${count(rows.length - BARS)} rows more are in the table.`)] : [])];
  }
  const time = (row) => Date.parse(row[at(plot.time)]) / 1e3;
  const times = [...new Set(rows.map(time))].sort((a, b) => a - b);
  const step = times.length > 1 ? Math.min(...times.slice(1).map((t, n) => t - times[n])) : 60;
  const [from, to] = [times[0], times[times.length - 1] + step];
  const x = (s) => LEFT + ((s - from) / (to - from)) * (width - LEFT - RIGHT);
  const height = 200;
  const picture = svg("svg", { width, height: height + 24, role: "img", "aria-label": "over time" });
  for (let n = 0; n <= 5; n++) {
    const s = from + ((to - from) * n) / 5;
    picture.append(svg("line", { class: "grid", x1: x(s), x2: x(s), y1: 6, y2: height }), svg("text", { class: "quiet", x: x(s), y: height + 16, "text-anchor": n === 0 ? "start" : n === 5 ? "end" : "middle" }, dayTime(s)));
  }
  if (plot.kind === "lines") {
    const series = new Map();
    for (const row of rows) {
      const value = row[at(plot.value)];
      if (value !== null && value !== undefined) series.set(label(row), [...(series.get(label(row)) || []), [time(row), Number(value)]]);
    }
    const most = Math.max(...[...series.values()].flat().map(([, v]) => v), 1e-9);
    const y = (v) => height - (v / most) * (height - 16);
    for (const share of [0, 0.5, 1]) picture.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(most * share), y2: y(most * share) }), svg("text", { class: "quiet", x: LEFT - 6, y: y(most * share) + 4, "text-anchor": "end" }, written(plot.value, most * share)));
    const shown = [...series].slice(0, 8);
    shown.forEach(([words, points], n) => {
      const d = points.map(([s, v], i) => `${i ? "L" : "M"}${x(s + step / 2).toFixed(1)} ${y(v).toFixed(1)}`).join("");
      picture.append(svg("path", { class: "line", d, stroke: colour(HUES[n]) }, svg("title", {}, words)));
      if (points.length === 1) picture.append(svg("circle", { cx: x(points[0][0] + step / 2), cy: y(points[0][1]), r: 3, fill: colour(HUES[n]) }));
    });
    const legend = make("div", { class: "legend" }, ...shown.map(([words], n) => make("span", {}, swatch(HUES[n]), words)));
    return [picture, legend, ...(series.size > 8 ? [make("p", { class: "quiet" }, `${count(series.size - 8)} more are in the table.`)] : [])];
  }
  const durations = [...new Set(rows.map((row) => Number(row[at(plot.row)])))].sort((a, b) => a - b);
  const tall = (height - 8) / Math.max(durations.length, 1);
  const most = Math.max(...rows.map((row) => Number(row[at(plot.count)]) || 0), 1);
  for (const row of rows) {
    const n = Number(row[at(plot.count)]) || 0;
    const place = durations.indexOf(Number(row[at(plot.row)]));
    const words = `${dayTime(time(row))}, from ${written(plot.row, durations[place])}: ${count(n)}`;
    picture.append(svg("rect", { x: x(time(row)), y: height - (place + 1) * tall, width: Math.max(x(time(row) + step) - x(time(row)) - 0.5, 1), height: Math.max(tall - 0.5, 1), fill: shade(most > 1 ? Math.log(Math.max(n, 1)) / Math.log(most) : 1) }, svg("title", {}, words)));
  }
  let free = height + 20;
  durations.forEach((v, n) => {
    const at = height - n * tall;
    if (free - at < 15) return;
    free = at;
    picture.append(svg("text", { class: "quiet", x: LEFT - 6, y: at, "text-anchor": "end" }, written(plot.row, v)));
  });
  return [picture];
}
