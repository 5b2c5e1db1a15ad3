// What is chosen, and when all is drawn; where the data comes from: the page itself, or the run that serves it.

const embedded = JSON.parse(byId("data").textContent);
const isServed = embedded === null;
const feed = { isPaused: false, source: null };

/** Draws everything, of what is chosen. */
function draw() {
  if (!model.revision) return;
  drawHead();
  drawFindings();
  drawChosen();
  drawStories();
  drawHealth();
  drawNotes();
}

/** Draws what depends on what is chosen. */
function drawChosen() {
  byId("who").textContent = view.destination === null ? "all destinations" : view.destination || "the other destinations";
  byId("when").textContent = view.range ? `${timeOf(view.range[0], false, 3)} to ${timeOf(view.range[1], false, 3)}` : "the whole time";
  byId("all-who").hidden = view.destination === null;
  byId("all-when").hidden = !view.range;
  byId("no-requests").hidden = hasRequests();
  for (const word of document.querySelectorAll(".of")) word.textContent = hasRequests() ? "requests" : "attempts to connect";
  drawPlots();
  const total = sum(slots(course(), view.range));
  drawHistogram(total);
  drawBudget(total);
  drawDestinations();
  drawSlow();
}

/** Looks at a part of the time, or at all of it. */
function choose(range) {
  const all = extent();
  if (range && all) {
    const least = course().width;
    let [from, to] = [Math.max(range[0], all[0]), Math.min(range[1], all[1])];
    if (to - from < least) [from, to] = [(from + to - least) / 2, (from + to + least) / 2];
    range = from <= all[0] && to >= all[1] ? null : [from, to];
  }
  view.range = range;
  drawChosen();
}

function chooseDestination(name) {
  view.destination = view.destination === name || !model.courses.has(name) ? null : name;
  drawChosen();
}

/** Keys on the plots: + and - zoom, arrows move, Escape shows all. */
function keys(event) {
  const all = extent();
  if (!all) return;
  const [from, to] = view.range || all;
  const span = to - from;
  const ranges = {
    "+": [from + span / 4, to - span / 4], "=": [from + span / 4, to - span / 4], "-": [from - span / 2, to + span / 2],
    ArrowLeft: [Math.max(from - span / 4, all[0]), Math.max(to - span / 4, all[0] + span)],
    ArrowRight: [Math.min(from + span / 4, all[1] - span), Math.min(to + span / 4, all[1])], Escape: null,
  };
  if (!(event.key in ranges) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  choose(ranges[event.key]);
}

/** Takes what came and draws it; while paused it waits. */
function receive(data) {
  take(data);
  if (!feed.isPaused) draw();
}

function said(text, isLost) {
  const live = byId("live");
  live.hidden = false;
  live.textContent = text;
  live.classList.toggle("lost", isLost);
}

/** All there is so far, and from then on what changes, each second. */
async function follow() {
  feed.source?.close();
  try {
    const response = await fetch("data", { cache: "no-store" });
    if (!response.ok) throw new Error(await response.text());
    receive(await response.json());
  } catch (error) {
    said("no answer from tcplens; trying again", true);
    console.info(String(error));
    setTimeout(follow, 2000);
    return;
  }
  const source = (feed.source = new EventSource(`events?since=${model.head.run}.${model.revision}`));
  source.onopen = () => said("● live", false);
  source.onmessage = (event) => {
    const data = JSON.parse(event.data);
    // What changed since something that is not known here cannot be added to it.
    if (data.since !== 0 && data.since > model.revision) return follow();
    said("● live", false);
    receive(data);
  };
  source.addEventListener("end", () => {
    source.close();
    said("the run has ended; this is all of it", true);
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
    said("no connection to tcplens; trying again", true);
  };
}

function begin() {
  watchHeat();
  byId("plots").addEventListener("keydown", keys);
  byId("plots").addEventListener("dblclick", () => choose(null));
  byId("all-who").addEventListener("click", () => { view.destination = null; drawChosen(); });
  byId("all-when").addEventListener("click", () => choose(null));
  byId("filter").addEventListener("input", (event) => { view.filter = event.target.value; drawDestinations(); });
  byId("story-which").addEventListener("change", (event) => chooseStory(event.target.value, false));
  byId("clock").addEventListener("click", (event) => {
    clock.local = !clock.local;
    event.target.textContent = clock.local ? "local time" : "UTC";
    draw();
  });
  byId("pause").addEventListener("click", (event) => {
    feed.isPaused = !feed.isPaused;
    event.target.textContent = feed.isPaused ? "Go on" : "Pause";
    if (!feed.isPaused) draw();
  });
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => { plots.signature = ""; draw(); }, 120);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  if (isServed) {
    byId("pause").hidden = false;
    byId("about").textContent = "Waiting for tcplens…";
    follow();
  } else receive(embedded);
}

begin();
