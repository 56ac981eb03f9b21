// The mask: what the camera must not look at, painted over the live picture.

const MASK_PX = 320, STEPS = 40;
let stroke = null;      // where the pointer was, in fractions of the picture
let maskFiles = { file: "", other: "" };  // where the page's mask is, and what is used instead
let tip = [0.5, 0.5];   // where the keyboard's brush is, likewise

// Its pixels are read when the mask is saved.
const brushPen = () => get("brush").getContext("2d", { willReadFrequently: true });

function openMask(on) {
  get("draw").hidden = get("brush").hidden = !on;
  get("mask").setAttribute("aria-expanded", String(on));
  for (const id of ["mask", "hold", "map"]) get(id).disabled = on;
  tell(false);
  if (!on) return get("mask").focus();
  const canvas = get("brush");
  canvas.width = MASK_PX;
  canvas.height = Math.round(MASK_PX * bitmap.height / bitmap.width);
  say(get("draw-what"), ...maskWords());
  showTip();
  canvas.focus({ preventScroll: true });
  return loadMask();
}

function maskWords() {
  const words = ["Paint over what the camera must not look at: leaves, a road, a screen. It is saved as ", isolated(maskFiles.file), "."];
  if (maskFiles.other) return [...words, ...notUsed(maskFiles.other)];
  return seen.seen === null ? [...words, " At present the camera looks at whole pictures, and the mask changes nothing."] : words;
}

const notUsed = (other) => [" The camera uses another mask, because [camera] mask names ", isolated(other), ": remove that setting to use this one."];

async function loadMask() {
  try {
    const { status, body } = await ask("mask");
    if (status !== 200) return;
    const picture = await createImageBitmap(body), canvas = get("brush"), pen = brushPen();
    pen.globalCompositeOperation = "source-over";
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    recolour(pen, ([grey], i) => (grey < 128 ? maskColour(i) : [0, 0, 0, 0]));
  } catch (error) {
    tell(true, explain(error));
  }
}

// Stripes, so that it is told from the picture whatever its colours are.
function maskColour(i) {
  const x = i % MASK_PX, y = Math.floor(i / MASK_PX);
  return (x + y) % 12 < 6 ? [179, 38, 30, 255] : [255, 255, 255, 255];
}

function recolour(pen, change) {
  const pixels = pen.getImageData(0, 0, pen.canvas.width, pen.canvas.height), data = pixels.data;
  for (let i = 0; i < data.length; i += 4) data.set(change(data.subarray(i, i + 4), i / 4), i);
  pen.putImageData(pixels, 0, 0);
}

function stripes(pen) {
  const tile = new OffscreenCanvas(12, 12), brush = tile.getContext("2d");
  const cells = brush.createImageData(12, 12);
  for (let y = 0; y < 12; y++) for (let x = 0; x < 12; x++) cells.data.set(maskColour(y * MASK_PX + x), 4 * (12 * y + x));
  brush.putImageData(cells, 0, 0);
  return pen.createPattern(tile, "repeat");
}

function paint(from, to) {
  const canvas = get("brush"), pen = brushPen();
  const [x, y, u, v] = [from[0] * canvas.width, from[1] * canvas.height, to[0] * canvas.width, to[1] * canvas.height];
  pen.globalCompositeOperation = isOn("forbid") ? "source-over" : "destination-out";
  pen.strokeStyle = stripes(pen);
  pen.lineCap = "round";
  pen.lineWidth = get("size").value / 100 * canvas.width;
  pen.beginPath();
  pen.moveTo(x, y);
  // A line without length would not be drawn.
  pen.lineTo(u + 0.01, v);
  pen.stroke();
}

function place(event) {
  const box = get("brush").getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

function showTip() {
  get("tip").hidden = document.activeElement !== get("brush") || get("brush").hidden;
  get("tip").style.cssText = `left: ${100 * tip[0]}%; top: ${100 * tip[1]}%; width: ${get("size").value}%`;
}

function moveTip(event) {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] }[event.key];
  if (!way) return;
  event.preventDefault();
  const from = tip;
  tip = tip.map((at, i) => Math.min(1, Math.max(0, at + way[i] / STEPS)));
  if (event.key === " " || event.shiftKey) paint(from, tip);
  showTip();
}

function choosePaint(id) {
  for (const each of ["forbid", "allow"]) get(each).setAttribute("aria-pressed", String(each === id));
}

// A PNG: white where the camera may look, black where it must not.
function maskPicture() {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [get("brush").width, get("brush").height];
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(get("brush"), 0, 0);
  recolour(pen, ([, , , alpha]) => (alpha > 127 ? [0, 0, 0, 255] : [255, 255, 255, 255]));
  return new Promise((done) => copy.toBlob(done, "image/png"));
}

async function saveMask(event) {
  event.preventDefault();
  get("save-mask").disabled = true;
  try {
    const mask = JSON.parse(await post("save-mask", { picture: await base64(await maskPicture()) }));
    openMask(false);
    tell(mask.other !== "", ...maskSaved(mask));
  } catch (error) {
    tell(true, explain(error));
  } finally {
    get("save-mask").disabled = false;
  }
}

function maskSaved({ file, other, drawn }) {
  const done = drawn ? ["Saved as ", isolated(file)] : ["The mask is gone: ", isolated(file), " was removed"];
  if (other) return [...done, ".", ...notUsed(other)];
  return [...done, drawn ? ", which the camera uses from now on." : ". The camera looks everywhere."];
}

get("mask").addEventListener("click", () => openMask(true));
get("leave").addEventListener("click", () => openMask(false));
get("draw").addEventListener("submit", saveMask);
get("forbid").addEventListener("click", () => choosePaint("forbid"));
get("allow").addEventListener("click", () => choosePaint("allow"));
get("size").addEventListener("input", showTip);
get("clear").addEventListener("click", () => brushPen().clearRect(0, 0, get("brush").width, get("brush").height));
get("brush").addEventListener("keydown", moveTip);
for (const kind of ["focus", "blur"]) get("brush").addEventListener(kind, showTip);
get("brush").addEventListener("pointerdown", (event) => {
  get("brush").setPointerCapture(event.pointerId);
  stroke = tip = place(event);
  paint(stroke, stroke);
  showTip();
});
get("brush").addEventListener("pointermove", (event) => {
  if (!stroke) return;
  const to = place(event);
  paint(stroke, to);
  stroke = tip = to;
  showTip();
});
for (const kind of ["pointerup", "pointercancel"]) get("brush").addEventListener(kind, () => { stroke = null; });
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !get("draw").hidden) openMask(false); });
