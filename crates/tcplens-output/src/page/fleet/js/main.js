// What is asked for, where it comes from (a store that is served, or this file), and when all is drawn. What is looked at stands in
// the address, behind `#`: Back goes back, and a link leads to the same.

const embedded = JSON.parse(byId("data").textContent);
const isServed = embedded === null;
const EVERY = 15e3; // From one look for what is new to the next.
const feed = { number: 0, timer: 0 };

/** Draws everything. */
function draw() {
  if (!model.doc) return;
  drawHead();
  drawTiles();
  drawFindings();
  drawBar();
  for (const word of document.querySelectorAll(".of")) word.textContent = hasRequests() ? "requests" : "attempts to connect";
  if (plots.marked !== JSON.stringify(marks())) {
    plots.marked = JSON.stringify(marks());
    plots.signature = "";
  }
  byId("marks-legend").hidden = !marks().length;
  drawPlots();
  drawHistogram(model.doc.total);
  drawBudget(model.doc.total);
  for (const which of Object.keys(TABLES)) drawTable(which);
  drawNotes();
}

/** What is looked at, each with a way back. */
function drawBar() {
  const words = LASTS.find(([name]) => name === view.last);
  byId("lasts").replaceChildren(...(isServed ? LASTS : []).map(([name, text]) => make("button", { type: "button", class: !view.range && view.last === name ? "on" : null, title: `The last ${text} that the store has`, onclick: () => go({ last: name, range: null }) }, text)));
  const [from, to] = view.range || extent();
  byId("when").textContent = view.range || !words || !isServed ? `${moment(from)} to ${moment(to)}` : "";
  byId("filters").replaceChildren(...FILTERS.filter((name) => view.filter[name]).map((name) => {
    const less = () => { const filter = { ...view.filter }; delete filter[name]; go({ filter }); };
    return make("button", { type: "button", class: "on", title: `All ${name}s again`, onclick: less }, `${name} ${view.filter[name]} ✕`);
  }));
}

/** Looks at something else; what is not said stays. */
function go(change) {
  Object.assign(view, change);
  if (!isServed) return fromFile();
  const hash = new URLSearchParams(view.filter);
  if (view.range) {
    hash.set("from", Math.floor(view.range[0]));
    hash.set("to", Math.ceil(view.range[1]));
  } else hash.set("last", view.last);
  if (location.hash.slice(1) === hash.toString()) follow();
  else location.hash = hash.toString();
}

/** As the address says. */
function arrive() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const [from, to] = ["from", "to"].map((name) => Number(hash.get(name)));
  view.range = hash.get("to") && to > from ? [from, to] : null;
  view.last = LASTS.some(([name]) => name === hash.get("last")) ? hash.get("last") : view.last;
  view.filter = Object.fromEntries(FILTERS.filter((name) => hash.get(name)).map((name) => [name, hash.get(name)]));
  if (model.doc) {
    drawBar();
    // What there is of it, until more comes.
    drawPlots();
  }
  follow();
}

/** A part of the time, or the last hours again. */
function choose(range) {
  if (range && isServed) {
    const most = 120 * 365 * 86400;
    const least = 120 - (range[1] - range[0]);
    range = least > 0 ? [range[0] - least / 2, range[1] + least / 2] : range;
    if (range[1] - range[0] > most) range = null;
  }
  go({ range: range && range.map(Math.round) });
}

/** Keys on the plots: + and - zoom, arrows move, Escape shows the last hours. */
function keys(event) {
  if (!model.doc) return;
  const [from, to] = view.range || extent();
  const span = to - from;
  const ranges = {
    "+": [from + span / 4, to - span / 4], "=": [from + span / 4, to - span / 4], "-": [from - span / 2, to + span / 2],
    ArrowLeft: [from - span / 4, to - span / 4], ArrowRight: [from + span / 4, to + span / 4], Escape: null,
  };
  if (!(event.key in ranges) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  choose(ranges[event.key]);
}

function said(text, isLost) {
  const live = byId("live");
  live.hidden = false;
  live.textContent = text;
  live.classList.toggle("lost", isLost);
}

/** Asks the store for what is looked at, now and every 15 s; an answer that came too late is dropped. */
async function follow() {
  clearTimeout(feed.timer);
  const number = ++feed.number;
  const search = view.range ? parameters({}) : new URLSearchParams({ last: view.last, ...view.filter });
  const before = model.doc && [model.doc.from, model.doc.to, JSON.stringify(model.doc.filter)].join();
  const slow = setTimeout(() => said("the store is being read…", false), 400);
  byId("plots").classList.add("waits");
  try {
    const doc = await ask("fleet.json", search);
    if (number !== feed.number) return;
    take(doc);
    draw();
    said(view.isPaused ? "paused" : "● live", false);
    if (view.records && before !== [doc.from, doc.to, JSON.stringify(doc.filter)].join()) fetchRecords();
  } catch (error) {
    if (number !== feed.number) return;
    said(`no answer: ${error.message || error}`, true);
  } finally {
    clearTimeout(slow);
    if (number === feed.number) {
      byId("plots").classList.remove("waits");
      if (!view.isPaused) feed.timer = setTimeout(follow, EVERY);
    }
  }
}

/** Of a file: the document of what is chosen, as far as it has it. */
function fromFile() {
  const key = view.filter.server || "";
  const doc = embedded.documents[key] || embedded.documents[""];
  view.filter = embedded.documents[key] && key ? { server: key } : {};
  if (model.doc !== doc) {
    if (!doc.course) take(doc);
    model.doc = doc;
  }
  draw();
}

function begin() {
  watchHeat();
  byId("plots").addEventListener("keydown", keys);
  byId("plots").addEventListener("dblclick", () => choose(null));
  byId("filter").addEventListener("input", (event) => { view.words = event.target.value; for (const which of Object.keys(TABLES)) drawTable(which); });
  byId("clock").addEventListener("click", (event) => {
    clock.local = !clock.local;
    event.target.textContent = clock.local ? "local time" : "UTC";
    draw();
  });
  byId("pause").addEventListener("click", (event) => {
    view.isPaused = !view.isPaused;
    event.target.textContent = view.isPaused ? "Go on" : "Pause";
    if (view.isPaused) {
      clearTimeout(feed.timer);
      said("paused", false);
    } else follow();
  });
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => { plots.signature = ""; draw(); }, 120);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  drawViews();
  if (!isServed) return fromFile();
  byId("pause").hidden = false;
  byId("about").textContent = "Waiting for tcplens…";
  addEventListener("hashchange", arrive);
  drawQueries();
  arrive();
}

begin();
