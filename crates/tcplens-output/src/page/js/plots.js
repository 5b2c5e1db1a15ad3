// Plots over time: lines by uPlot, the heat map and the histogram on canvases. All share one axis of time, and a drag across
// any of them chooses a range. Of the page and of the fleet page: what is drawn, `lines()`, `slots()` of `course()`, `marks()`,
// `view` and `choose()`, each of them has for itself.

const LEFT = 66; // Where every plot begins, so that moments lie below each other.
const RIGHT = 24; // Half of what the last moment is written as.
const HUES = ["loss", "server", "queue", "window", "client", "transfer", "network", "unknown", "quiet", "ink"];
const plots = { made: {}, signature: "" };

/** Each line upon those after it, so that none hides another; what is drawn first is the highest. */
function stack(data) {
  for (let n = data.length - 2; n > 0; n--) data[n] = data[n].map((v, at) => v + data[n + 1][at]);
}

/** Draws all that is over time. */
function drawPlots() {
  const all = lines();
  const list = slots(course());
  const { width } = course();
  const times = list.map((slot) => slot.at);
  if (list.length) times.push(list[list.length - 1].at + width);
  const signature = Object.values(all).flat().map((line) => line[0]).join() + clock.local + colour("ink") + width;
  if (signature !== plots.signature) {
    Object.values(plots.made).forEach((plot) => plot.destroy());
    plots.made = {};
    plots.signature = signature;
  }
  for (const [name, specs] of Object.entries(all)) {
    const data = [times, ...specs.map((line) => list.map((slot) => line[2](slot, width)))];
    if (name === "trouble") stack(data);
    // The last slice ends, too; of latency its end says nothing.
    if (list.length) data.forEach((values, n) => (n ? values.push(name === "latency" ? null : values[values.length - 1]) : null));
    const range = view.range || extent() || [0, 1];
    if (!plots.made[name]) plots.made[name] = newPlot(name, specs, data, range);
    else {
      const plot = plots.made[name];
      plot.setData(data, false);
      plot.setScale("x", { min: range[0], max: range[1] });
    }
  }
  drawHeat(list, width);
}

function newPlot(name, specs, data, range) {
  const box = byId("p-" + name);
  const isTime = name === "latency";
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, font: "12px system-ui, sans-serif" };
  const plot = new uPlot(
    {
      width: box.clientWidth, height: name === "latency" ? 190 : 160, padding: [8, RIGHT, 0, 0],
      tzDate: (s) => (clock.local ? new Date(s * 1e3) : uPlot.tzDate(new Date(s * 1e3), "Etc/UTC")),
      cursor: { sync: { key: "time" }, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
      legend: { live: true },
      scales: {
        x: { time: true, range: () => view.range || extent() || range },
        y: isTime ? { distr: 3 } : { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        { ...axis, size: 30, space: 95, values: (_, splits) => splits.map((s) => axisTime(s, splits)) },
        { ...axis, size: LEFT, ...(isTime ? { splits: (_, __, low, high) => decades([low * 1e9, high * 1e9]).map((ns) => ns / 1e9) } : {}), values: (_, splits) => splits.map((v) => (v === null ? "" : isTime ? mark(v * 1e9) : String(Number(v.toPrecision(3))))) },
      ],
      series: [
        { label: "time", value: (_, s) => (s === null || s === undefined ? "–" : timeOf(s, false, course().width < 1 ? 3 : 0)) },
        ...specs.map(([label, hue, , write, style], n) => ({
          label, stroke: colour(hue), width: 1.6,
          // Of a stack its own part.
          value: (self, v, _, at) => write(style === "stack" && v !== null && n + 2 < self.data.length ? v - self.data[n + 2][at] : v),
          dash: style === "dash" ? [6, 4] : undefined,
          fill: style === "fill" ? colour(hue) + "26" : style === "stack" ? colour(hue) : undefined,
          // What is counted holds for its slice.
          paths: isTime ? undefined : uPlot.paths.stepped({ align: 1 }),
          spanGaps: false, points: { show: isTime, size: 4 },
        })),
      ],
      hooks: {
        drawClear: [drawMarks],
        setSelect: [(self) => {
          const { left, width } = self.select;
          if (width > 3) choose([self.posToVal(left, "x"), self.posToVal(left + width, "x")]);
          self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        }],
      },
    },
    data, box,
  );
  return plot;
}

/** Bands behind the lines: what is abnormal, each from when to when, in seconds. */
function drawMarks(self) {
  const { left, top, width, height } = self.bbox;
  const context = self.ctx;
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  for (const [from, to] of marks()) {
    const [x, end] = [self.valToPos(from, "x", true), self.valToPos(to, "x", true)];
    context.fillStyle = colour("mark");
    context.fillRect(x, top, Math.max(end - x, 2), height);
  }
  context.restore();
}

/** Marks of the axis: with fractions where marks are close. */
function axisTime(s, splits) {
  const step = splits.length > 1 ? splits[1] - splits[0] : 1;
  if (step >= 3600 && (splits[splits.length - 1] - splits[0] > 86400 || step >= 86400)) return dayTime(s);
  // Whole minutes need no seconds.
  if (step >= 60) return timeOf(s, false).slice(0, 5);
  const decimals = step < 0.01 ? 3 : step < 0.1 ? 2 : step < 1 ? 1 : 0;
  return timeOf(s, false, decimals);
}

/** `11-21 14:00`, the day alone where it begins. */
function dayTime(s) {
  const [date, time] = timeOf(s, true).split(" ");
  return time === "00:00:00" ? date.slice(5) : `${date.slice(5)} ${time.slice(0, 5)}`;
}

/** A canvas as large as it is shown, and its context in CSS pixels. */
function canvas(id) {
  const element = byId(id);
  const ratio = devicePixelRatio || 1;
  const [width, height] = [element.clientWidth, element.clientHeight];
  if (element.width !== Math.round(width * ratio)) element.width = Math.round(width * ratio);
  if (element.height !== Math.round(height * ratio)) element.height = Math.round(height * ratio);
  const context = element.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  return { element, context, width, height };
}

// The first colour is that of a single request: an outlier, which has to be seen.
const DAY = [[172, 203, 230], [130, 180, 215], [66, 146, 198], [8, 81, 156], [8, 29, 88]];
const NIGHT = [[58, 98, 160], [52, 122, 165], [61, 148, 160], [150, 196, 100], [253, 231, 76]];

/** The colour of a share from 0 to 1. */
function shade(share) {
  const stops = matchMedia("(prefers-color-scheme: dark)").matches && !matchMedia("print").matches ? NIGHT : DAY;
  const at = Math.min(share, 0.9999) * (stops.length - 1);
  const [from, to] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]];
  const mix = from.map((value, n) => Math.round(value + (to[n] - value) * (at - Math.floor(at))));
  return `rgb(${mix.join(",")})`;
}

/** First and last duration (ns) of slices, at edges of rows of the heat map, with a row to spare. */
function durationRange(list) {
  let [low, high] = [Infinity, 0];
  for (const slot of list) {
    const cells = latencyOf(slot);
    if (!cells.length) continue;
    low = Math.min(low, cellLow(2 * heatRow(cells[0][0])));
    high = Math.max(high, cellLow(2 * heatRow(cells[cells.length - 1][0]) + 4));
  }
  return high ? [Math.max(low, 1), Math.max(high, low * 2)] : null;
}

/** 1, 10, 100... between two durations; with 3, 30... where these are few. */
function decades([low, high]) {
  const marks = [];
  const few = high / low < 300;
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    for (const m of few ? [1, 2, 5] : [1]) {
      const ns = m * 10 ** e;
      if (ns >= low && ns <= high) marks.push(ns);
    }
  }
  return marks;
}

const heat = { cells: null };

/** Two cells of a course are one row, so that rows are not thinner than a finger of a hair. */
const heatRow = (cell) => cell >> 1;

function drawHeat(list, sliceWidth) {
  const { context, width, height } = canvas("heat");
  const range = view.range || extent();
  const durations = durationRange(list);
  heat.cells = null;
  const legend = byId("heat-legend");
  legend.replaceChildren();
  context.fillStyle = colour("quiet");
  if (!range || !durations) {
    context.fillText("nothing to measure here", LEFT + 8, 24);
    return;
  }
  const [bottom, top] = [height - 22, 6];
  const x = (s) => LEFT + ((s - range[0]) / (range[1] - range[0])) * (width - LEFT - RIGHT);
  const [low, high] = durations.map(Math.log);
  const y = (ns) => bottom - ((Math.log(Math.max(ns, 1)) - low) / (high - low)) * (bottom - top);
  const columns = [];
  let most = 1;
  for (const slot of list) {
    if (slot.at + sliceWidth <= range[0] || slot.at >= range[1]) continue;
    const rows = new Map();
    for (const [cell, n] of latencyOf(slot)) rows.set(heatRow(cell), (rows.get(heatRow(cell)) || 0) + n);
    rows.forEach((n) => (most = Math.max(most, n)));
    columns.push([slot.at, rows]);
  }
  context.save();
  context.beginPath();
  context.rect(LEFT, top, width - LEFT - RIGHT, bottom - top);
  context.clip();
  for (const [at, rows] of columns) {
    const [from, to] = [x(at), x(at + sliceWidth)];
    for (const [row, n] of rows) {
      context.fillStyle = shade(most > 1 ? Math.log(n) / Math.log(most) : 1);
      const [upper, lower] = [y(cellLow(2 * row + 2)), y(cellLow(2 * row))];
      context.fillRect(from, upper, Math.max(to - from - (to - from > 5 ? 0.6 : 0), 1), Math.max(lower - upper - 0.4, 1));
    }
  }
  context.restore();
  drawAxes(context, { width, bottom, top, marks: decades(durations), y });
  context.textAlign = "center";
  const wish = Math.max(2, Math.floor((width - LEFT) / 120));
  for (let n = 0; n <= wish; n++) {
    const s = range[0] + ((range[1] - range[0]) * n) / wish;
    context.textAlign = n === 0 ? "left" : n === wish ? "right" : "center";
    const isLong = range[1] - range[0] > 86400;
    const step = (range[1] - range[0]) / wish;
    context.fillText(isLong ? dayTime(Math.round(s / 60) * 60) : step >= 600 ? timeOf(s, false).slice(0, 5) : timeOf(s, false, step < 1 ? 2 : 0), x(s), height - 6);
  }
  heat.cells = { columns, range, x, y, width, durations, low, high, bottom, top, sliceWidth };
  const scale = make("span", { class: "scale" });
  scale.style.background = `linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map(shade).join(",")})`;
  legend.append("1", scale, count(most));
  byId("heat").setAttribute("aria-label", `Latency heat map, up to ${count(most)} requests in a cell, from ${duration(durations[0])} to ${duration(durations[1])}`);
}

function drawAxes(context, { width, bottom, top, marks, y }) {
  context.strokeStyle = colour("line");
  context.fillStyle = colour("quiet");
  context.textAlign = "right";
  for (const ns of marks) {
    const at = Math.round(y(ns)) + 0.5;
    context.globalAlpha = 0.6;
    context.beginPath();
    context.moveTo(LEFT, at);
    context.lineTo(width - RIGHT, at);
    context.stroke();
    context.globalAlpha = 1;
    if (at > top + 4) context.fillText(mark(ns), LEFT - 6, at + 4);
  }
  context.strokeRect(LEFT + 0.5, top + 0.5, width - LEFT - RIGHT, bottom - top);
}

/** The pointer over the heat map: what is there, and a drag that chooses a range. */
function watchHeat() {
  const element = byId("heat");
  const box = byId("heat-box");
  let from = null;
  const secondsAt = (event) => {
    const { range, width } = heat.cells;
    const px = event.clientX - element.getBoundingClientRect().left;
    const share = Math.min(Math.max((px - LEFT) / (width - LEFT - RIGHT), 0), 1);
    return range[0] + share * (range[1] - range[0]);
  };
  element.addEventListener("pointerdown", (event) => {
    if (!heat.cells) return;
    from = [event.clientX, secondsAt(event)];
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    if (!heat.cells) return;
    const edge = element.getBoundingClientRect();
    if (from) {
      box.hidden = false;
      box.style.left = Math.min(from[0], event.clientX) - edge.left + "px";
      box.style.width = Math.abs(event.clientX - from[0]) + "px";
      box.style.height = element.clientHeight - 22 + "px";
    }
    const { columns, sliceWidth, low, high, bottom, top } = heat.cells;
    const s = secondsAt(event);
    const ns = Math.exp(low + ((bottom - (event.clientY - edge.top)) / (bottom - top)) * (high - low));
    const column = columns.find(([at]) => at <= s && s < at + sliceWidth);
    const hit = column && [...column[1]].find(([row]) => cellLow(2 * row) <= ns && ns < cellLow(2 * row + 2));
    if (hit) {
      const what = hasRequests() ? "requests" : "attempts";
      tip.show(`${timeOf(column[0], false, sliceWidth < 1 ? 3 : 0)}, for ${duration(sliceWidth * 1e9)}\n${duration(cellLow(2 * hit[0]))} to ${duration(cellLow(2 * hit[0] + 2))}: ${count(hit[1])} ${what}`, event);
    } else tip.hide();
  });
  element.addEventListener("pointerleave", () => tip.hide());
  element.addEventListener("pointerup", (event) => {
    box.hidden = true;
    if (from && heat.cells && Math.abs(event.clientX - from[0]) > 3) choose([from[1], secondsAt(event)].sort((a, b) => a - b));
    from = null;
  });
}

/** How long requests took, of what is looked at. */
function drawHistogram(total) {
  const { element, context, width, height } = canvas("histogram");
  const cells = latencyOf(total);
  const what = hasRequests() ? "requests" : "connection attempts";
  context.fillStyle = colour("quiet");
  byId("quantiles").textContent = "";
  if (!cells.length) {
    context.fillText("nothing to measure here", LEFT + 8, 24);
    element.setAttribute("aria-label", "nothing to measure");
    return;
  }
  const [bottom, top] = [height - 22, 8];
  const edges = [cellLow(cells[0][0]) || 1, cellLow(cells[cells.length - 1][0] + 1)];
  const [low, high] = edges.map(Math.log);
  const x = (ns) => LEFT + ((Math.log(Math.max(ns, 1)) - low) / (high - low)) * (width - LEFT - RIGHT);
  const most = Math.max(...cells.map((cell) => cell[1]));
  context.fillStyle = colour("server");
  for (const [cell, n] of cells) {
    const [from, to] = [x(cellLow(cell)), x(cellLow(cell + 1))];
    const tall = Math.max((n / most) * (bottom - top), 1.5);
    context.fillRect(from, bottom - tall, Math.max(to - from - 0.7, 1), tall);
  }
  context.fillStyle = colour("quiet");
  context.textAlign = "right";
  for (const share of [0.5, 1]) context.fillText(count(most * share), LEFT - 6, bottom - share * (bottom - top) + (share === 1 ? 10 : 4));
  context.textAlign = "center";
  let free = -Infinity;
  for (const ns of decades(edges)) {
    const at = x(ns);
    if (at - 26 < free) continue;
    context.fillText(mark(ns), Math.min(Math.max(at, LEFT + 16), width - 30), height - 6);
    free = at + 30;
  }
  context.strokeStyle = colour("line");
  context.strokeRect(LEFT + 0.5, top + 0.5, width - LEFT - RIGHT, bottom - top);
  const parts = [0.5, 0.95, 0.99].map((share) => [share, quantile(cells, share)]);
  for (const [n, [share, ns]] of parts.entries()) {
    const at = Math.round(x(ns)) + 0.5;
    context.strokeStyle = context.fillStyle = colour("loss");
    context.beginPath();
    context.setLineDash([3, 3]);
    context.moveTo(at, top);
    context.lineTo(at, bottom);
    context.stroke();
    context.setLineDash([]);
    context.textAlign = at > width - 50 ? "right" : "left";
    context.fillText(`${share * 100} %`, at + (at > width - 50 ? -4 : 4), top + 12 + 13 * n);
  }
  const all = cells.reduce((n, cell) => n + cell[1], 0);
  const text = `${count(all)} ${what}: half took at most about ${duration(parts[0][1])}, 95 % ${duration(parts[1][1])}, 99 % ${duration(parts[2][1])}.`;
  byId("quantiles").textContent = text;
  element.setAttribute("aria-label", text);
}
