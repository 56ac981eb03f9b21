// History and health.

let waiting = "";  // the release that could be installed
let wished = null; // the one that somebody has asked for here

async function tend() {
  for (;;) {
    if (!document.hidden) {
      try {
        showHealth(JSON.parse((await ask(`health?viewer=${viewer}`)).body));
      } catch (error) {
        healthProblem = explain(error);
        showSilence();
      }
    }
    await sleep(HEALTH_MS);
  }
}

function showPulse(text, bad) {
  say(get("pulse"), text);
  get("pulse").classList.toggle("bad", bad);
}

function rate(fps) {
  return fps < 1 ? String(fps) : fps.toFixed(1);
}

// The last known health is out of date.
function showSilence() {
  const last = heard ? `last contact ${ago((Date.now() - heard) / 1000)}` : "";
  showPulse("no connection", true);
  get("facts").replaceChildren(...fact(["Connection", healthProblem, last, true]));
  showProblem();
}

function showHealth(now) {
  const camera = now.camera;
  healthProblem = "";
  // The first picture may be long in coming: then the camera's problem is what counts.
  if (linkProblem === CONNECTING) linkProblem = "";
  heard = Date.now();
  saves = now.saves;
  if (!held) say(get("hold"), saves ? "Hold and save" : "Hold");
  model = now.model;
  threshold = now.threshold;
  maskFiles = now.mask;
  cameraState = camera.state;
  cameraProblem = cameraTrouble(camera);
  say(get("name"), model ? model.name : "");
  showPulse(cameraProblem ? `camera ${camera.state}` : `${rate(now.fps)} frames/s`, Boolean(cameraProblem));
  showProblem();
  showSpark(now.history.samples);
  showChanges(now.history.changes);
  get("facts").replaceChildren(...facts(now).flatMap(fact));
  showInstall(now.update);
  say(get("made"), `Fieldguide ${now.version}`, ...(model ? [". The model was made from ", isolated(model.data), "."] : []));
}

function cameraTrouble(camera) {
  if (camera.state === "streaming") return "";
  if (camera.state === "ended") return "The video has ended.";
  if (camera.state === "connecting") return "The camera is being opened.";
  return `No camera: ${camera.problem || "it sends nothing"}. Trying again.`;
}

function facts(now) {
  const { camera, board } = now, size = camera.size_px[0] ? `, ${camera.size_px.join("×")}` : "";
  const rows = [["Camera", `${camera.state}${size}`, camera.problem || camera.source, Boolean(cameraProblem) && camera.state !== "ended"]];
  rows.push(["Speed", `${rate(now.fps)} frames/s`, board.slowed ? "slowed down to cool" : "", board.slowed]);
  if (board.temperature_c !== null) rows.push(["Temperature", `${board.temperature_c.toFixed(0)} °C`, "", board.slowed]);
  if (board.throttled !== null) rows.push(["Power", board.throttled.join(", ") || "good", "", board.throttled.length > 0]);
  if (model) {
    rows.push(["Model", model.name, `${model.runtime}, ${model.threads} thread${model.threads === 1 ? "" : "s"}`, false]);
    rows.push(["Accuracy", ...accuracy(model.accuracy), false]);
    rows.push(["SHA-256", model.sha256.slice(0, 16), "", false]);
  }
  if (now.update) rows.push(...releases(now.update));
  if (now.model_problem) rows.push(["New model", "refused", now.model_problem, true]);
  if (now.config_problem) rows.push(["Settings", "refused", now.config_problem, true]);
  const bad = Object.entries(now.outputs).filter(([, problem]) => problem);
  const good = Object.keys(now.outputs).filter((name) => !now.outputs[name]);
  if (good.length) rows.push(["Outputs", good.join(", "), "", false]);
  bad.forEach(([name, problem]) => rows.push([`Output ${name}`, problem, "", true]));
  rows.push(["Running", ago(now.uptime_s).replace(" ago", "").replace("now", "just started"), "", false]);
  return rows;
}

// Signed releases that the board fetches.
function releases(update) {
  const asked = update.checked_unix_s ? `asked ${new Date(update.checked_unix_s * 1000).toLocaleString()}` : "not asked yet";
  const trust = update.verified ? "by a time server" : "time not verified", own = update.software;
  const rows = kind("release", update.name, update, `${asked} (${trust}), from ${update.source}`);
  if (update.away && update.latest <= update.installed) rows.push(["Updates", "waiting", `for ${update.away}`, false]);
  if (update.unknown_group) rows.push(["Group", update.unknown_group, "nothing was ever rolled out to it: the stage of all counts", false]);
  if (update.frozen) rows.push(["Updates", "held back?", "nothing newer was signed for three weeks", true]);
  return [...rows, ...kind("software", "software", own, `${own.version} in ${own.runs}`)];
}

// Releases of the model, or of the software itself.
function kind(what, of, told, note) {
  const name = (number) => number ? `${of}/${number}` : "none yet";
  const rows = [[what[0].toUpperCase() + what.slice(1), told.stage ? `${name(told.installed)}, ${told.stage}` : name(told.installed), note, false]];
  if (told.doing) rows.push(["Updates", told.stage, told.doing, false]);
  if (told.latest > told.installed) rows.push([`New ${what}`, name(told.latest), told.waits && `waits for ${told.waits}`, false]);
  if (told.problem) rows.push(["Updates", "not now", told.problem, true]);
  told.failed.slice(-1).forEach((why) => rows.push(["Led back", `${what} ${why}`, "", true]));
  return rows;
}

// A newer release may be wanted now, unless one is being tried or watched, or this one has led back.
function showInstall(update) {
  const ledBack = update?.failed.some((why) => why.startsWith(`${update.latest}:`));
  const waits = Boolean(update) && update.latest > update.installed && !update.stage && !ledBack;
  const name = waits ? `${update.name}/${update.latest}` : "";
  if (name !== waiting) say(get("wish"), "");
  get("install").hidden = !waits;
  get("install").disabled = name === wished;
  if (waits) say(get("install"), `Install ${name} now`);
  waiting = name;
}

async function install() {
  const name = waiting;
  try {
    await post("install", {});
    wished = name;
    get("install").disabled = true;
    say(get("wish"), `${name} is wanted: the board takes it within minutes, at any hour.`);
  } catch (error) {
    say(get("wish"), explain(error));
  }
}

get("install").addEventListener("click", install);

function accuracy(measured) {
  if (!measured) return ["not known", "the bundle's manifest does not say"];
  const share = (value) => (value * 100).toFixed(1);
  const count = (number) => number.toLocaleString("en");
  const events = measured.events < measured.photos ? ` of ${count(measured.events)} event${measured.events === 1 ? "" : "s"}` : "";
  const all = measured.same_places;
  const surer = all ? `; surer, from all events held out in turn: ${share(all.value)}% (${share(all.low)}–${share(all.high)}%)` : "";
  const elsewhere = measured.new_places;
  const expected = elsewhere ? `; at a new place expect ${share(elsewhere.value)}% (${share(elsewhere.low)}–${share(elsewhere.high)}%)` : "";
  const note = `on ${count(measured.photos)} held-out photos${events}; 95% interval ${share(measured.low)}–${share(measured.high)}%${surer}${expected}`;
  return [`${share(measured.value)}%`, note];
}

function fact([name, value, note, bad]) {
  const description = make("dd", value, bad ? "bad" : "");
  if (note) description.append(make("small", note));
  return [make("dt", name), description];
}

function showChanges(changes) {
  const rows = changes.map((change) => {
    const row = make("li", "", change.label === UNKNOWN || change.nothing ? "unknown" : "");
    // While it is unknown the score is of a class that is not named here.
    const score = change.nothing || change.label === UNKNOWN ? "" : percent(change.score);
    row.append(make("b", inWords(change)), make("span", score), make("span", ago(change.age_s)));
    return row;
  });
  get("changes").replaceChildren(...rows);
}

function showSpark(samples) {
  const recent = samples.filter(([age]) => age <= SPARK_S);
  const parts = [rule(0), rule(100)];
  if (threshold !== null) parts.push(rule(100 - threshold * 100, "rule threshold"));
  recent.slice(1).forEach((sample, i) => {
    const [from, to] = [recent[i], sample];
    if (from[0] - to[0] > 5 || from[3] !== to[3]) return;
    parts.push(line(from, to, to[3] ? "line nothing" : to[1] === UNKNOWN ? "line unknown" : "line"));
  });
  get("spark").replaceChildren(...parts);
  say(get("scale"), threshold === null ? "score, 0 to 100%" : `dashed: threshold, ${percent(threshold)}`);
  const scores = recent.filter(([, , , nothing]) => !nothing).map(([, , score]) => score);
  const range = scores.length ? [`Scores from ${percent(Math.min(...scores))} to ${percent(Math.max(...scores))}`] : [];
  const empty = recent.length > scores.length ? [`nothing there ${percent(1 - scores.length / recent.length)} of the time`] : [];
  const words = [...range, ...empty].join(", ") || "No scores yet";
  get("spark").setAttribute("aria-label", words);
}

function draft(kind, attributes) {
  const shape = document.createElementNS("http://www.w3.org/2000/svg", kind);
  Object.entries(attributes).forEach(([key, value]) => shape.setAttribute(key, value));
  return shape;
}

const rule = (y, name = "rule") => draft("line", { x1: 0, x2: SPARK_S, y1: y, y2: y, class: name });
const line = (from, to, name) => draft("line", { x1: SPARK_S - from[0], y1: 100 - from[2] * 100, x2: SPARK_S - to[0], y2: 100 - to[2] * 100, class: name });
