// What the plots over time have of a fleet.

/** The lines of each plot: label, colour, value of a slice, and how it is written. */
function lines() {
  const rate = (get) => (slot, width) => get(slot) / width;
  const each = (v) => (v === null || v === undefined ? "–" : three(v) + "/s");
  const seconds = (v) => (v === null || v === undefined ? "–" : duration(v * 1e9));
  const share = (v) => (v === null || v === undefined ? "–" : three(v) + " %");
  const [half, most, nearly] = hasRequests() ? ["p50", "p99", "p95"] : ["c50", "c99", null];
  const time = (name) => (slot) => (name === null || slot[name] === undefined ? null : slot[name] / 1e9);
  const of = (part, whole) => (whole ? (100 * part) / whole : null);
  const all = [...course().slots.values()];
  const seen = [
    ["answered with an error", "loss", (slot) => slot.errors],
    ["request unanswered", "queue", (slot) => slot.unanswered],
    ["attempt refused", "window", (slot) => slot.refused],
    ["attempt without an answer", "ink", (slot) => slot.silent],
    ["attempt failed otherwise", "client", (slot) => Math.max(slot.failed - slot.refused - slot.silent, 0)],
  ].filter(([, , get], n) => n === 0 || all.some(get));
  return {
    requests: [
      ["requests", "server", rate((slot) => slot.requests), each, "fill"],
      ["attempts to connect", "network", rate((slot) => slot.attempts), each, "dash"],
    ],
    trouble: seen.map(([label, hue, get]) => [label, hue, rate(get), each, "stack"]),
    latency: [
      ["50 %", "network", time(half), seconds],
      ...(nearly ? [["95 %", "queue", time(nearly), seconds]] : []),
      ["99 %", "loss", time(most), seconds, "dash"],
    ],
    path: [
      ["segments repeated", "loss", (slot) => of(slot.data_repeats, slot.data_segments), share],
      ["attempts that failed", "window", (slot) => of(slot.failed, slot.established + slot.failed), share],
      ["connections ended by RST", "quiet", (slot) => of(slot.resets, slot.ended), share, "dash"],
    ],
  };
}
