// Which connection is told below the slowest requests: that of the request or finding that was chosen last, else the one that
// `tcplens explain` would tell unasked.

/** The stories that the page has, and why each. */
function storiesKnown() {
  const { stories } = model;
  const why = new Map();
  const say = (id, words) => {
    if (stories.all.has(id) && !why.has(id)) why.set(id, words);
  };
  for (const finding of model.findings?.list || []) if (finding.story) say(finding.story, `finding ${finding.rank}: ${finding.code}`);
  for (const slow of [...model.slow].sort((a, b) => b.took - a.took)) say(slow.id, `a request that took ${duration(slow.took)}`);
  if (stories.chosen) say(stories.chosen[0], "it " + stories.chosen[1]);
  for (const id of stories.all.keys()) say(id, "");
  return why;
}

function drawStories() {
  const { stories } = model;
  const section = byId("s-story");
  section.hidden = !stories.all.size && !stories.missing;
  if (section.hidden) return;
  const why = storiesKnown();
  const which = byId("story-which");
  which.hidden = !why.size;
  const first = stories.chosen && stories.all.has(stories.chosen[0]) ? stories.chosen[0] : why.keys().next().value;
  const id = stories.all.has(view.story) ? view.story : first;
  which.replaceChildren(...[...why].map(([key, words]) => make("option", { value: key, selected: key === id }, stories.all.get(key).who + (words ? ` (${words})` : ""))));
  const box = byId("story");
  if (id) drawStory(box, stories.all.get(id));
  else box.replaceChildren(make("p", { class: "quiet" }, stories.missing));
}

/** Tells a connection, if the page has its story. */
function chooseStory(id, scrolls) {
  if (!model.stories.all.has(id)) return;
  view.story = id;
  drawStories();
  if (scrolls) byId("h-story").scrollIntoView();
}
