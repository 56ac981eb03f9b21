// What it sees.

const PLACE = {
  learning: "Learning the background: until it is known, the whole picture is classified.",
  light: "Light changed: the answer is from before.",
  moved: "Camera moved: the answer is from before.",
};

function showSight() {
  const unknown = seen.label === UNKNOWN || seen.nothing;
  const label = get("label"), words = inWords(seen);
  say(label, words);
  label.classList.toggle("unknown", unknown);
  say(get("why"), seen.nothing ? "" : unknown ? doubt() : `${percent(seen.score)} sure`);
  say(get("place"), PLACE[seen.seen] ?? "", ...seen.also.flatMap(alsoThere));
  get("picture").setAttribute("aria-label", `Live picture: ${words}${seen.nothing ? "" : `, ${percent(seen.score)}`}`);
  get("bars").classList.toggle("unsure", unknown);
  showBars();
  showNearest();
}

// A second subject of the same frame; its score is not smoothed.
const alsoThere = ({ label, score }) => ["Also there: ", isolated(label), label === UNKNOWN ? "" : `, ${percent(score)}`];

// The reason is the device's own; a threshold is what its owner has set instead.
function doubt() {
  const limit = threshold === null ? "" : `; a label needs ${percent(threshold)}`;
  return seen.why ? `${seen.why}${limit}` : "";
}

function showNothing() {
  if (held) return;
  say(get("label"), "no picture now");
  get("label").classList.add("unknown");
  say(get("why"), bitmap ? "This is the last picture." : "");
  say(get("place"), "");
  get("bars").replaceChildren();
  quietly("None: there is no picture.");
  nearestUntil = 0;
}

// Why there are neither scores nor training photos to compare with; no words: there are.
function quietly(words) {
  for (const id of ["quiet", "none-alike"]) {
    say(get(id), words);
    get(id).hidden = !words;
  }
  get("nearest").classList.toggle("empty", Boolean(words));
}

function showBars() {
  const list = get("bars");
  quietly(seen.nothing ? "None: nothing is there." : "");
  // Without scores, what is below does not jump up and down.
  list.style.minHeight = seen.top.length ? "" : list.style.minHeight || `${list.offsetHeight - get("quiet").offsetHeight}px`;
  while (list.children.length < seen.top.length) list.append(newBar());
  while (list.children.length > seen.top.length) list.lastChild.remove();
  seen.top.forEach(([name, score], i) => {
    const button = list.children[i].firstChild, [title, value, bar] = button.children;
    button.dataset.name = name;
    say(title, unturned(name));
    say(value, percent(score));
    bar.firstChild.style.width = `${score * 100}%`;
    bar.lastChild.hidden = threshold === null;
    bar.lastChild.style.left = `${threshold * 100}%`;
    button.disabled = !seen.map[name];
    button.title = `Show what speaks for ${unturned(name)}`;
    button.setAttribute("aria-pressed", String(isOn("map") && shownClass() === name));
  });
}

function newBar() {
  const item = make("li"), button = make("button"), bar = make("div", "", "bar");
  bar.append(make("i"), make("u"));
  button.type = "button";
  button.append(make("b"), make("span"), bar);
  button.addEventListener("click", () => choose(button.dataset.name));
  item.append(button);
  return item;
}

function choose(name) {
  const again = isOn("map") && shownClass() === name;
  chosen = again ? null : name;
  get("map").setAttribute("aria-pressed", String(!again));
  draw();
  showBars();
}

get("map").addEventListener("click", () => {
  get("map").setAttribute("aria-pressed", String(!isOn("map")));
  chosen = null;
  draw();
  if (seen) showBars();
});
