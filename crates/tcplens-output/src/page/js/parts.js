// What the page and the fleet page have alike: parts of time and durations in cells, where time went, its small bar, a command to
// copy.

const PARTS = ["client", "queue", "server", "network", "loss", "window", "transfer"];
const PART_WORDS = {
  client: "the client was sending the request",
  queue: "earlier requests of the connection were being answered",
  server: "the server had it",
  network: "on the way between here and the server",
  loss: "something lost was not yet repaired",
  window: "waiting for a closed receive window",
  transfer: "the response was being sent",
};

/** First duration of a cell, in ns: data.rs' and course.rs' rule. */
function cellLow(cell) {
  const shift = Math.max((cell >> 3) - 1, 0);
  return (cell - 8 * shift) * 2 ** shift;
}

/** What at most this share of durations exceed, in ns, from cells: within 6 %. Null where there are none. */
function quantile(cells, share) {
  const total = cells.reduce((n, cell) => n + cell[1], 0);
  if (!total) return null;
  let rank = Math.max(1, Math.ceil(total * share));
  for (const [cell, n] of cells) {
    if (rank <= n) return (cellLow(cell) + cellLow(cell + 1)) / 2;
    rank -= n;
  }
  return cellLow(cells[cells.length - 1][0] + 1);
}

/** To the clipboard; where that is not allowed the command is selected, for Ctrl-C. */
function copyText(text, element, button) {
  const select = () => getSelection().selectAllChildren(element);
  const said = (word) => {
    button.textContent = word;
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };
  if (!navigator.clipboard) {
    select();
    return said("Selected");
  }
  navigator.clipboard.writeText(text).then(() => said("Copied"), () => { select(); said("Selected"); });
}

function swatch(part) {
  return make("span", { class: "swatch " + part });
}

function drawBudget(total) {
  const box = byId("budget");
  box.replaceChildren();
  const all = total.budget.reduce((n, ns) => n + ns, 0);
  if (!all) {
    box.append(make("p", { class: "quiet" }, total.requests ? "Not known: of none of these requests were all times seen." : "No requests here."));
    return;
  }
  const bar = make("div", { class: "bar", role: "img", "aria-label": "Shares of time, as in the table below" });
  const body = make("tbody");
  PARTS.forEach((part, at) => {
    const ns = total.budget[at];
    if (!ns) return;
    const piece = make("i", { class: part, title: `${part}: ${percent(ns, all)}` });
    piece.style.width = (100 * ns) / all + "%";
    bar.append(piece);
    body.append(make("tr", {}, make("td", { class: "l" }, swatch(part), make("b", {}, part), ": " + PART_WORDS[part]), make("td", {}, percent(ns, all)), make("td", {}, duration(ns))));
  });
  box.append(bar, make("table", {}, body), make("p", { class: "quiet" }, `${duration(all)} in all, of the requests that were seen from beginning to end.`));
}

function drawMini(cell, budget) {
  const all = budget.reduce((n, ns) => n + ns, 0);
  if (!all) return cell.replaceChildren("–");
  const bar = make("span", { class: "mini", title: PARTS.map((part, at) => (budget[at] ? `${part} ${percent(budget[at], all)}` : "")).filter(Boolean).join(", ") });
  PARTS.forEach((part, at) => {
    if (!budget[at]) return;
    const piece = make("i", { class: part });
    piece.style.width = (100 * budget[at]) / all + "%";
    bar.append(piece);
  });
  cell.replaceChildren(bar);
}

/** Whether a row passes a filter: words that its texts have, and comparisons such as `p99>100ms`. */
function filterOf(text, columns, textOf) {
  const units = { ns: 1, us: 1e3, "µs": 1e3, ms: 1e6, s: 1e9, k: 1e3, "%": 0.01 };
  const problems = [];
  const tests = text.trim().split(/\s+/).filter(Boolean).map((word) => {
    const parts = /^([a-z0-9]+)(>=|<=|>|<|=)([0-9.]+)(ns|us|µs|ms|s|k|%)?$/i.exec(word);
    if (!parts) return (row) => textOf(row).toLowerCase().includes(word.toLowerCase());
    const column = columns.find(([key, heading]) => key === parts[1] || heading === parts[1]);
    if (!column || column[5]) {
      problems.push(`there is no number called ${parts[1]}`);
      return () => true;
    }
    const limit = Number(parts[3]) * (units[parts[4]] || 1);
    const compare = { ">": (v) => v > limit, "<": (v) => v < limit, ">=": (v) => v >= limit, "<=": (v) => v <= limit, "=": (v) => v === limit }[parts[2]];
    return (row) => {
      const value = column[3](row);
      return value !== null && value !== undefined && compare(value);
    };
  });
  return { passes: (row) => tests.every((test) => test(row)), problems };
}
