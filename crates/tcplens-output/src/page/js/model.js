// What was seen, as data.rs tells it, what of it is looked at, and sums over that. Draws nothing.

const OUTCOMES = ["established", "refused", "unreachable", "timed out", "unanswered", "aborted", "reset", "unacknowledged", "one-sided"];
/** All that is known, and what is looked at: a destination or null for all, and [from, to] in seconds or null. */
const model = { head: {}, findings: null, rows: new Map(), others: [0, 0, 0, 0, 0], courses: new Map(), slow: [], lanes: new Map(), stories: { all: new Map() }, health: {}, revision: 0 };
const view = { destination: null, range: null, slow: null, story: null, sort: ["weight", true], filter: "" };

/** Takes a document: all, or what changed. */
function take(data) {
  if (data.since === 0) {
    for (const known of [model.rows, model.courses, model.lanes]) known.clear();
    model.slow = [];
  }
  model.revision = data.revision;
  model.head = data;
  model.health = data.health;
  model.others = data.others;
  if (data.findings) model.findings = data.findings;
  if (data.stories) model.stories = { ...data.stories, all: new Map(Object.entries(data.stories.all)) };
  for (const row of data.rows) model.rows.set(row[0], rowOf(row));
  if (data.shown) {
    // Of the others nothing more is told: they are in the last row now.
    const isShown = new Set(data.shown);
    for (const name of model.rows.keys()) if (!isShown.has(name)) model.rows.delete(name);
  }
  for (const name of model.courses.keys()) if (!(name in data.courses)) model.courses.delete(name);
  for (const [name, [width, isNew, isLate, beyond, slots]] of Object.entries(data.courses)) {
    const known = isNew ? undefined : model.courses.get(name);
    const course = known || { slots: new Map() };
    Object.assign(course, { width: width / 1e3, isLate: isLate === 1, beyond });
    for (const slot of slots) course.slots.set(slot[0], slotOf(slot, width / 1e3));
    model.courses.set(name, course);
  }
  if (data.slow) model.slow = data.slow.map(slowOf);
  for (const [id, lane] of Object.entries(data.lanes)) model.lanes.set(id, laneOf(lane));
  const isUsed = new Set(model.slow.map((slow) => slow.id));
  for (const id of model.lanes.keys()) if (!isUsed.has(id)) model.lanes.delete(id);
}

function rowOf(r) {
  const [name, protocols, requests, errors, unanswered, p50, p95, p99, max, attempts, failed, undecided, c50, c99, connections, from, to, segments, lost, rtt, budget] = r;
  return { name, protocols, requests, errors, unanswered, p50, p95, p99, max, attempts, failed, undecided, c50, c99, connections, bytes: connections ? from + to : null, segments, lost, rtt, budget };
}

function slotOf([number, requests, errors, unanswered, bytes, retransmits, undecided, outcomes, budget, latency, connect], width) {
  const cells = (list) => {
    const all = [];
    let cell = 0;
    for (const n of list) {
      if (n < 0) cell -= n;
      else all.push([cell++, n]);
    }
    return all;
  };
  return { at: number * width, requests, errors, unanswered, bytes, retransmits, undecided, outcomes, budget, latency: cells(latency), connect: cells(connect) };
}

function slowOf([time, took, id, task, server, protocol, verdict, status, asked, answered, retransmits, frame]) {
  return { at: time / 1e6, took, id, task, server, protocol, verdict, status, asked, answered, retransmits, frame };
}

function laneOf([client, server, first, tasks]) {
  return {
    client, server, at: first / 1e6,
    tasks: tasks.map(([task, after, took, upload, process, transfer, status, what, budget]) => ({ task, after, took, stages: [upload, process, transfer], status, what, budget })),
  };
}

/** The course of what is looked at. */
function course() {
  return model.courses.get(view.destination ?? "*") || { slots: new Map(), width: 1 };
}

/** Its slices, one after the other, those without anything too; all of the time, or those of the range. */
function slots(of, within) {
  const { slots, width } = of;
  if (!slots.size) return [];
  const numbers = [...slots.keys()].sort((a, b) => a - b);
  const all = [];
  for (let n = numbers[0]; n <= numbers[numbers.length - 1]; n++) {
    const at = n * width;
    if (within && (at + width <= within[0] || at >= within[1])) continue;
    all.push(slots.get(n) || { at, requests: 0, errors: 0, unanswered: 0, bytes: 0, retransmits: 0, undecided: 0, outcomes: [], budget: [], latency: [], connect: [] });
  }
  return all;
}

/** Everything in some slices as one. */
function sum(list) {
  const all = { requests: 0, errors: 0, unanswered: 0, bytes: 0, retransmits: 0, outcomes: OUTCOMES.map(() => 0), budget: PARTS.map(() => 0), latency: new Map(), connect: new Map() };
  for (const slot of list) {
    for (const name of ["requests", "errors", "unanswered", "bytes", "retransmits"]) all[name] += slot[name];
    slot.outcomes.forEach((n, at) => (all.outcomes[at] += n));
    slot.budget.forEach((us, at) => (all.budget[at] += us * 1e3));
    for (const name of ["latency", "connect"]) for (const [cell, n] of slot[name]) all[name].set(cell, (all[name].get(cell) || 0) + n);
  }
  for (const name of ["latency", "connect"]) all[name] = [...all[name]].sort((a, b) => a[0] - b[0]);
  return all;
}

const failed = (outcomes) => outcomes.reduce((n, one, at) => (at === 0 || at === 8 ? n : n + one), 0);
const attempts = (outcomes) => outcomes.reduce((n, one) => n + one, 0);

/** Whether latency is that of requests; where there are none it is that of connecting. */
function hasRequests() {
  return (model.head.requests || 0) > 0;
}

const latencyOf = (slot) => (hasRequests() ? slot.latency : slot.connect);

/** From the first moment to the last. */
function extent() {
  const all = model.courses.get("*");
  if (!all || !all.slots.size) return null;
  const numbers = [...all.slots.keys()];
  return [Math.min(...numbers) * all.width, (Math.max(...numbers) + 1) * all.width];
}
