// Picture.

async function watch() {
  for (;;) {
    if (held || document.hidden) {
      await sleep(100);
      continue;
    }
    pending = next();
    if (!await pending) await sleep(2000);
    showProblem();
  }
}

async function next() {
  try {
    const { status, body } = await ask(`live?viewer=${viewer}&after=${seen ? seen.frame : ""}`);
    linkProblem = "";
    if (status === 200) await show(body);
  } catch (error) {
    linkProblem = explain(error);
  }
  return !linkProblem;
}

async function show(form) {
  const sight = JSON.parse(await form.get("state").text());
  const picture = await createImageBitmap(form.get("picture"));
  jpeg = form.get("picture");
  if (bitmap) bitmap.close();
  bitmap = picture;
  seen = sight;
  get("hold").disabled = held || !get("draw").hidden;
  get("mask").disabled = held || !get("draw").hidden;
  get("map").disabled = !get("draw").hidden;
  draw();
  showSight();
}

function draw() {
  if (!bitmap) return;
  const canvas = get("picture"), pen = canvas.getContext("2d");
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.style.aspectRatio = `${bitmap.width} / ${bitmap.height}`;
  }
  pen.drawImage(bitmap, 0, 0);
  if (isOn("map")) drawMap(pen, canvas);
  if (seen.seen !== "something") return;
  drawBox(pen, canvas, seen.crop, []);
  for (const other of seen.also) drawBox(pen, canvas, other.box, [canvas.width / 60]);
}

const inPixels = (box, canvas) => box.map((side, i) => side * (i % 2 ? canvas.height : canvas.width));

// Around what is there: bright on dark, so that it is seen on any picture.
function drawBox(pen, canvas, box, dashes) {
  const [left, upper, right, lower] = inPixels(box, canvas), width = Math.max(2, canvas.width / 220);
  for (const [colour, wide] of [["#10200f", 2 * width], ["#a5e39f", width]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    pen.setLineDash(dashes);
    pen.strokeRect(left, upper, right - left, lower - upper);
  }
}

const isOn = (id) => get(id).getAttribute("aria-pressed") === "true";
const shownClass = () => (chosen && seen.map[chosen] ? chosen : seen.top.length ? seen.top[0][0] : null);

// Darken what does not speak for the class, so that the rest keeps its colours.
function drawMap(pen, canvas) {
  const rows = seen.map[shownClass()];
  if (!rows || !seen.crop.length) return;
  // A cell shows what lies half a cell to the right of and below its place: the network's strided
  // layers add their zero padding there.
  const shade = new OffscreenCanvas(2 * rows[0].length, 2 * rows.length), brush = shade.getContext("2d");
  const cells = brush.createImageData(shade.width, shade.height);
  for (let y = 0; y < shade.height; y++) for (let x = 0; x < shade.width; x++) {
    const value = rows[Math.max(0, y - 1) >> 1][Math.max(0, x - 1) >> 1];
    cells.data[4 * (y * shade.width + x) + 3] = 0.78 * (255 - value);
  }
  brush.putImageData(cells, 0, 0);
  const [left, upper, right, lower] = inPixels(seen.crop, canvas);
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(shade, left, upper, right - left, lower - upper);
  pen.fillStyle = "rgb(0 0 0 / 0.78)";
  pen.fillRect(0, 0, canvas.width, upper);
  pen.fillRect(0, lower, canvas.width, canvas.height - lower);
  pen.fillRect(0, upper, left, lower - upper);
  pen.fillRect(right, upper, canvas.width - right, lower - upper);
  if (seen.seen === "something") return;
  pen.lineWidth = Math.max(1, canvas.width / 500);
  pen.setLineDash([6, 6]);
  pen.strokeStyle = "rgb(255 255 255 / 0.7)";
  pen.strokeRect(left, upper, right - left, lower - upper);
}

function showProblem() {
  const problem = linkProblem || healthProblem || cameraProblem;
  say(get("notice"), isolated(problem));
  get("notice").hidden = !problem || held;
  get("picture").className = problem && bitmap && !held ? "old" : "";
  if (problem && cameraState !== "ended") showNothing();
}
