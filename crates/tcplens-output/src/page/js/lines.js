// What the plots over time have of an observation, and the order of their colours.

const FAILED = ["refused", "unreachable", "timed out", "unanswered", "aborted", "reset", "unacknowledged"];

/** The lines of each plot: label, colour, value of a slice, and how it is written. */
function lines() {
  const rate = (get) => (slot, width) => get(slot) / width;
  const part = (share) => (slot) => {
    const ns = quantile(latencyOf(slot), share);
    return ns === null ? null : ns / 1e9;
  };
  const seconds = (v) => (v === null || v === undefined ? "–" : duration(v * 1e9));
  const each = (v) => (v === null || v === undefined ? "–" : three(v) + "/s");
  const troubles = [
    ["answered with an error", (slot) => slot.errors],
    ["request unanswered", (slot) => slot.unanswered],
    ...FAILED.map((word) => ["attempt " + word, (slot) => slot.outcomes[OUTCOMES.indexOf(word)] || 0]),
    ["segment repeated", (slot) => slot.retransmits],
  ];
  const all = [...course().slots.values()];
  const seen = troubles.filter(([, get], n) => n === 0 || all.some(get));
  return {
    requests: [
      ["requests", "server", rate((slot) => slot.requests), each, "fill"],
      ["attempts to connect", "network", rate((slot) => attempts(slot.outcomes) + slot.undecided), each, "dash"],
    ],
    trouble: seen.map(([label, get], n) => [label, HUES[n % HUES.length], rate(get), each, "stack"]),
    latency: [
      ["50 %", "network", part(0.5), seconds],
      ["95 %", "queue", part(0.95), seconds],
      ["99 %", "loss", part(0.99), seconds, "dash"],
    ],
  };
}

/** Nothing is marked. */
const marks = () => [];
