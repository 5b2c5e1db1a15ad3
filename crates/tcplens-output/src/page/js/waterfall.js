// The slowest requests, and the connection of one of them: a bar for each request, cut by its time budget.

const SLOW_COLUMNS = [["time", true], ["took"], ["mostly", true], ["what was asked for", true], ["protocol", true], ["destination", true], ["how it went", true], ["asked"], ["answered"], ["repeated"], ["packet"]];
const MOST = 100;

/** The slowest of what is looked at. */
function slowNow() {
  return model.slow.filter((slow) => (!view.destination || slow.server === view.destination) && (!view.range || (slow.at >= view.range[0] && slow.at < view.range[1])));
}

const keyOf = (slow) => `${slow.id}/${slow.task}`;
const taskOf = (slow) => model.lanes.get(slow.id)?.tasks.find((task) => task.task === slow.task);

function drawSlow() {
  const table = byId("slow");
  const all = slowNow();
  table.tHead.replaceChildren(make("tr", {}, ...SLOW_COLUMNS.map(([heading, isText]) => make("th", { class: isText ? "l" : null }, heading))));
  const focused = document.activeElement?.dataset?.key;
  const rows = all.slice(0, MOST).map((slow) => {
    const pick = () => { view.slow = keyOf(slow); drawSlow(); chooseStory(slow.id, false); byId("waterfall-title").focus({ preventScroll: true }); byId("waterfall").scrollIntoView({ block: "nearest" }); };
    const row = make("tr", { class: view.slow === keyOf(slow) ? "pick chosen" : "pick", tabindex: 0, "data-key": keyOf(slow), onclick: pick },
      make("td", { class: "l" }, timeOf(slow.at, false, 6)), make("td", {}, duration(slow.took)),
      make("td", { class: "l" }, ...(slow.verdict ? [swatch(slow.verdict), slow.verdict] : ["–"])),
      make("td", { class: "l what", title: taskOf(slow)?.what || "" }, taskOf(slow)?.what || "–"),
      make("td", { class: "l" }, slow.protocol), make("td", { class: "l" }, slow.server),
      make("td", { class: slow.status === "ok" ? "l" : "l bad" }, slow.status),
      make("td", {}, bytes(slow.asked)), make("td", {}, bytes(slow.answered)), make("td", {}, count(slow.retransmits)), make("td", {}, slow.frame === null ? "–" : String(slow.frame)));
    row.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(); }
    });
    return row;
  });
  table.tBodies[0].replaceChildren(...rows);
  if (focused) rows.find((row) => row.dataset.key === focused)?.focus({ preventScroll: true });
  byId("slow-note").textContent = all.length
    ? `Choose a request to see what else its connection did then.${all.length > MOST ? ` ${all.length - MOST} more are known of single destinations: choose one above.` : ""}`
    : "None here.";
  const chosen = all.find((slow) => keyOf(slow) === view.slow) || all[0];
  if (chosen) drawWaterfall(chosen);
  else byId("waterfall").hidden = true;
}

/** Parts of a request's time and how long each is, in ns: by its budget, or all as one. */
function partsOf(task) {
  if (task.budget && task.budget.length) return PARTS.map((part, at) => [part, task.budget[at] || 0]).filter(([, ns]) => ns > 0);
  return task.took === null ? [] : [["unknown", task.took]];
}

function drawWaterfall(slow) {
  const lane = model.lanes.get(slow.id);
  const box = byId("waterfall-box");
  byId("waterfall").hidden = !lane;
  if (!lane) return;
  byId("waterfall-title").textContent = `Connection ${lane.client} → ${lane.server}, around ${timeOf(slow.at, false, 6)}`;
  const own = taskOf(slow);
  // What is far from it would make it invisible.
  const reach = 3 * slow.took;
  const near = lane.tasks.filter((task) => own && task.after >= own.after - reach && task.after <= own.after + slow.took + reach);
  const from = Math.min(...near.map((task) => task.after));
  const to = Math.max(...near.map((task) => task.after + (task.took || 0)), from + 1000);
  const [row, labels, width] = [24, 330, Math.max(box.clientWidth - 24, 700)];
  const height = near.length * row + 34;
  const x = (ns) => labels + ((ns - from) / (to - from)) * (width - labels - 90);
  const picture = svg("svg", { width, height, role: "img", "aria-label": `${near.length} requests of the connection` });
  for (let n = 0; n <= 4; n++) {
    const ns = from + ((to - from) * n) / 4;
    picture.append(svg("line", { class: "grid", x1: x(ns), x2: x(ns), y1: 20, y2: height - 8 }), svg("text", { class: "quiet", x: x(ns), y: 13, "text-anchor": "middle" }, n ? "+" + duration(ns - from) : timeOf(lane.at + from / 1e9, false, 6)));
  }
  const used = new Set();
  near.forEach((task, at) => {
    const y = 24 + at * row;
    if (task.task === slow.task) picture.append(svg("rect", { class: "this", x: 0, y, width, height: row }));
    const label = `${task.task}. ${task.what}`;
    picture.append(svg("text", { x: 6, y: y + 16 }, label.length > 46 ? label.slice(0, 45) + "…" : label, svg("title", {}, label)));
    const parts = partsOf(task);
    let begin = task.after;
    for (const [part, ns] of parts) {
      used.add(part);
      picture.append(svg("rect", { class: part, x: x(begin), y: y + 5, width: Math.max(x(begin + ns) - x(begin), 1), height: row - 10 }, svg("title", {}, `${part}: ${duration(ns)}`)));
      begin += ns;
    }
    const isBad = task.status !== "ok" && task.status !== "none";
    if (!parts.length) picture.append(svg("rect", { class: "hollow", x: x(task.after), y: y + 5, width: 8, height: row - 10 }));
    const end = (task.took === null ? "" : duration(task.took)) + (isBad ? " " + task.status : "");
    picture.append(svg("text", { x: Math.max(x(begin), x(task.after) + 8) + 6, y: y + 16 }, end));
  });
  box.replaceChildren(picture);
  byId("waterfall-legend").replaceChildren(...[...used].map((part) => make("span", {}, swatch(part), `${part}: ${PART_WORDS[part] || "parts not known"}`)));
  const hidden = lane.tasks.length - near.length;
  byId("waterfall-note").textContent = `Parts are as long as they took together, not where each happened; a request begins where its bar does.${hidden ? ` ${hidden} more requests of this connection lie further away.` : ""}`;
}
