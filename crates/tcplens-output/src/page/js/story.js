// The life of one connection as a sequence diagram: what `tcplens explain` prints, of the connections that the page has it of.
// Text nodes only, as everywhere; what an event is, is told by its words, not by its colour alone.

const ODD = ["", " dim", " odd", " bad"];

/** Seconds with six decimals, as the text has them: what is beyond is left out. */
function secondsOf(ns) {
  return (Math.trunc(ns / 1e3) / 1e6).toFixed(6);
}

/** An arrow between the two, or what nobody sent. */
function arrowOf(from, words) {
  const long = () => make("i", { class: "long" });
  const short = () => make("i", { class: "short" });
  const label = make("span", {}, words);
  if (from === 1) return make("div", { class: "arrow" }, short(), label, long(), make("b", {}, "▶"));
  if (from === 2) return make("div", { class: "arrow" }, make("b", {}, "◀"), long(), label, short());
  return make("div", { class: "arrow nobody" }, label);
}

/** Draws a story into an element. */
function drawStory(box, story) {
  const all = story.parts.reduce((n, [, , ns]) => n + ns, 0);
  const bar = make("div", { class: "bar", role: "img", "aria-label": "Where its time went, as in the legend below" });
  const legend = make("div", { class: "legend" });
  for (const [part, meaning, ns] of story.parts) {
    const piece = make("i", { class: part, title: `${meaning}: ${duration(ns)}` });
    piece.style.width = (100 * ns) / all + "%";
    bar.append(piece);
    legend.append(make("span", {}, make("span", { class: "swatch " + part }), `${meaning}: ${duration(ns)} (${percent(ns, all)})`));
  }
  const ends = make("div", { class: "ends" }, make("span", {}, "client " + story.client), make("span", {}, "server " + story.server));
  const head = make("tr", {}, make("th", {}, "seconds"), make("th", {}, "after"), make("th", { class: "between" }, ends), make("th", {}, "packet"), make("th", { class: "l" }, ""));
  const rows = story.events.map(([at, after, from, odd, words, frames, note]) =>
    make("tr", { class: "event" + ODD[odd] },
      make("td", {}, from === 0 ? "" : secondsOf(at)), make("td", {}, after),
      make("td", { class: "between" }, from === 3 ? make("div", { class: "arrow nobody" }, make("span", {}, "⋮ " + words)) : arrowOf(from, words)),
      make("td", {}, frames), make("td", { class: "l note" }, note || "")));
  const packets = story.frames ? `; packets ${story.frames[0]} to ${story.frames[1]}` : "";
  box.replaceChildren(
    make("h3", {}, story.who),
    make("p", { class: "quiet" }, `Connection ${story.id}${packets}. From ${timeOf(story.first / 1e6, true, 6)} ${clock.local ? "local time" : "UTC"}. ${story.about}`),
    make("p", {}, make("b", {}, "What limited it: "), story.limit),
    ...(all ? [bar, legend] : []),
    make("div", { class: "scroll story" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))),
    ...(story.left_out ? [make("p", { class: "quiet" }, `${count(story.left_out)} events are left out here: tcplens explain --all shows every segment.`)] : []),
    ...story.figures.map((line) => make("p", { class: "quiet figure" }, line)),
  );
}
