// A page of one connection.

const told = JSON.parse(byId("data").textContent);
byId("sources").textContent = told.sources;
document.title = `${told.story.who} – tcplens`;
byId("chosen").textContent = told.chosen ? `Chosen because ${told.chosen}.` : "";
byId("clock").addEventListener("click", (event) => {
  clock.local = !clock.local;
  event.target.textContent = clock.local ? "local time" : "UTC";
  drawStory(byId("story"), told.story);
});
drawStory(byId("story"), told.story);
