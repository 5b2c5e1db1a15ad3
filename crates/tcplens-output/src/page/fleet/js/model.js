// What the store said, as fleet/data.rs tells it, and what of it is looked at. Draws nothing.

/** The last document, marks of it that are shown, and when it came (ms). */
const model = { doc: null, came: 0 };

/** What is asked for (a last time, or from and to in seconds), what plots show of it, and what passes: server, host... */
const view = {
  last: "6h", range: null, filter: {}, words: "",
  sort: { servers: ["weight", true], operations: ["weight", true], hosts: ["weight", true] },
  records: null, isPaused: false,
};

const LASTS = [["1h", "1 hour"], ["6h", "6 hours"], ["24h", "1 day"], ["7d", "7 days"], ["30d", "30 days"], ["all", "all"]];
const FILTERS = ["server", "protocol", "operation", "host"];

/** What is counted in a slice or row that nothing was counted in. */
const NOTHING = {
  requests: 0, answered: 0, errors: 0, unanswered: 0, retransmits: 0, bytes: 0, time_ns: 0, attempts: 0, established: 0, failed: 0, refused: 0,
  silent: 0, syn_retransmits: 0, ended: 0, resets: 0, connection_bytes: 0, repeated_segments: 0, data_repeats: 0, capture_losses: 0,
};

/** Pairs of cell and count, from a list that has one after the other. */
function pairs(list) {
  const all = [];
  for (let n = 0; n + 1 < (list || []).length; n += 2) all.push([list[n], list[n + 1]]);
  return all;
}

const sumOf = (told) => ({ ...NOTHING, ...told, budget: told.budget || PARTS.map(() => 0), latency: pairs(told.latency), connect: pairs(told.connect) });

/** Takes a document. */
function take(doc) {
  doc.total = sumOf(doc.total);
  doc.course = { width: doc.width, slots: new Map(doc.slots.map((slot) => [slot.n, { ...sumOf(slot), at: slot.n * doc.width }])) };
  for (const name of ["servers", "operations", "hosts"]) {
    doc[name].rows = doc[name].rows.map((row) => ({ ...NOTHING, ...row }));
    for (const row of doc[name].rows) row.weight = row.requests + row.attempts + 10 * troubles(row) + row.time_ns / 1e8;
  }
  model.doc = doc;
  model.came = Date.now();
}

const troubles = (sum) => sum.errors + sum.unanswered + sum.failed;

/** The slices of what is looked at. */
function course() {
  return model.doc ? model.doc.course : { slots: new Map(), width: 60 };
}

/** Its slices, one after the other, those without anything too; all, or those of the range. */
function slots(of, within) {
  const all = [];
  const { from, to, width } = model.doc;
  for (let n = from / width; n * width < to; n++) {
    const at = n * width;
    if (within && (at + width <= within[0] || at >= within[1])) continue;
    all.push(of.slots.get(n) || { ...NOTHING, at, latency: [], connect: [] });
  }
  return all;
}

/** Whether latency is that of requests; where there are none it is that of connecting. */
function hasRequests() {
  return (model.doc?.total.requests || 0) > 0;
}

const latencyOf = (slot) => (hasRequests() ? slot.latency : slot.connect);

/** From the first moment to the last. */
function extent() {
  return model.doc ? [model.doc.from, model.doc.to] : null;
}

/** What is abnormal, from when to when: bands behind the lines. */
function marks() {
  return (model.doc?.marks || []).filter((mark) => mark.from !== undefined).map((mark) => [mark.from, mark.to ?? model.doc.to]);
}

/** Marks that concern a row: of its server and what of protocol and operation both say; of a host, where it is what is suspected. */
function marksOf(row) {
  if (row.host !== undefined) return model.doc.marks.filter((mark) => mark.component === "host=" + row.host);
  return model.doc.marks.filter((mark) => mark.server && ["server", "protocol", "operation"].every((name) => !mark[name] || row[name] === undefined || mark[name] === row[name]));
}
