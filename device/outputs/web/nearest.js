// The training photos that are most like what is seen, where the bundle has pictures of them.

const NEAREST_MS = 1000;
const thumbnails = new Map();   // by address: each is asked for once
let nearestUntil = 0;           // until then the same ones stay: nobody can look at ten sets a second
let nearestTo = "";             // the answer that they were shown with

function showNearest() {
  const now = performance.now(), answer = inWords(seen);
  get("like").hidden = !(model && model.thumbnails);
  if (get("like").hidden || (now < nearestUntil && nearestTo === answer && !held)) return;
  nearestUntil = now + NEAREST_MS;
  nearestTo = answer;
  // Without any the old ones keep their place, unseen, so that nothing below jumps.
  if (seen.nearest.length) get("nearest").replaceChildren(...seen.nearest.map(oneNearest));
}

function oneNearest({ n, label }) {
  const item = make("li"), figure = make("figure"), name = make("figcaption");
  name.append(isolated(label));
  name.title = unturned(label);
  figure.append(thumbnail(`${home}thumbnail?model=${seen.model_sha256}&n=${n}`), name);
  item.append(figure);
  return item;
}

function thumbnail(address) {
  if (!thumbnails.has(address)) {
    const picture = make("img");
    // Its class is below it.
    picture.alt = "Training photo";
    picture.src = address;
    thumbnails.set(address, picture);
  }
  return thumbnails.get(address);
}
