// Draws the explorables of a page, without a kernel. Where this cannot run, their words stay.

for (const place of document.querySelectorAll(".explorable")) {
  const state = JSON.parse(place.dataset.state);
  const model = { get: (key) => state[key], set() {}, save_changes() {}, on() {}, off() {} };
  import(`./${place.dataset.name}.js`).then((explorable) => {
    place.replaceChildren();
    explorable.default.render({ model, el: place });
  });
}
