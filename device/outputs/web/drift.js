// Whether camera, world and answers are as usual: alarms with then and now, and a week's chart.

const DRIFT_MS = 5000, DRIFT_DAYS = 7;
const FAMILIES = ["camera", "world", "confidence", "place"];
let asked = false;  // whether the button was pressed once, and asks again

async function followDrift() {
  for (;;) {
    if (!document.hidden) {
      try {
        const answer = await ask("drift");
        get("drift").hidden = answer.status === 204;
        if (answer.status !== 204) showDrift(JSON.parse(answer.body));
      } catch {
        // The health says that there is no connection.
      }
    }
    await sleep(DRIFT_MS);
  }
}

function showDrift(now) {
  const alarms = FAMILIES.filter((name) => now.families[name]?.alarm);
  say(get("usual"), usualInWords(now, alarms));
  get("usual").classList.toggle("bad", alarms.length > 0);
  const wanted = alarms.map((name) => alarmInWords(name, now.families[name])), list = get("alarms");
  if (wanted.map((row) => row.textContent).join("\n") !== [...list.children].map((row) => row.textContent).join("\n")) list.replaceChildren(...wanted);
  get("then-now").hidden = get("acknowledge").hidden = !alarms.length;
  if (alarms.length) showPair(now.shown);
  showAccuracy(now.accuracy);
  say(get("mix"), now.mix ? `For information, another mix of classes today: ${unturned(now.mix)}.` : "");
  showLevels(now.days.slice(-DRIFT_DAYS), now.learned_days === now.wanted_days);
}

function usualInWords(now, alarms) {
  const changed = alarms.filter((name) => name !== "place");
  if (changed.length) return `Changed: ${changed.join(", ")}.`;
  if (alarms.length) return "This place is not what the model was trained for.";
  if (now.learned_days < now.wanted_days) return `Usual days are being learned: ${now.learned_days} of ${now.wanted_days}.`;
  return "Camera and answers are as usual.";
}

function alarmInWords(name, { since, why, cure }) {
  const row = make("li"), date = since ? ` since ${new Date(`${since}T12:00:00`).toLocaleDateString([], { day: "numeric", month: "long" })}` : "";
  row.append(make("b", `${name}${date}: ${why}. `), make("span", `What to do: ${cure}.`));
  return row;
}

const PAIR = { then: "The camera at this hour while usual days were learned", now: "The camera now" };

function showPair(shown) {
  const pair = get("then-now");
  if (!pair.children.length) pair.append(...Object.keys(PAIR).map(newFigure));
  Object.keys(PAIR).forEach((which, i) => {
    const picture = pair.children[i].firstChild, source = `${home}drift-picture?which=${which}&shown=${shown}`;
    if (picture.src !== source) picture.src = source;
  });
}

function newFigure(which) {
  const figure = make("figure"), picture = make("img");
  picture.alt = PAIR[which];
  // Of this hour there may be none: without a clock, or if nothing was seen then.
  picture.addEventListener("load", () => { figure.hidden = false; });
  picture.addEventListener("error", () => { figure.hidden = true; });
  figure.append(picture, make("figcaption", which === "then" ? "then, at this hour" : "now"));
  return figure;
}

function showAccuracy(found) {
  const share = (value) => `${(value * 100).toFixed(0)}%`;
  const figure = found ? make(found.valid ? "b" : "s", `${share(found.mean)} (${share(found.low)}–${share(found.high)})`) : "";
  const why = found && !found.valid ? " Not to be relied on while camera, world or place are others." : "";
  say(get("estimate"), ...(found ? ["Right answers in the last days, estimated from scores: ", figure, ".", why] : ["Not enough answers yet to estimate the accuracy."]));
}

function showLevels(days, judged) {
  get("levels").hidden = get("legend").hidden = !days.length || !judged;
  get("levels").replaceChildren(...days.map(levelBars));
}

function levelBars({ date, levels }) {
  const item = make("li"), column = make("div");
  const name = date ? new Date(`${date}T12:00:00`) : null;
  levels.forEach((level, i) => {
    const bar = make("i", "", FAMILIES[i]);
    bar.style.height = `${Math.min(100, 100 * level / 1.5)}%`;
    column.append(bar);
  });
  const whole = name ? name.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" }) : "a day without a clock";
  const words = `${whole}: ${levels.map((level, i) => `${FAMILIES[i]} ${percent(level)} of the limit`).join(", ")}`;
  item.title = words;
  item.append(column, make("small", name ? String(name.getDate()) : "–"), make("span", words, "spoken"));
  item.children[1].ariaHidden = "true";
  return item;
}

get("acknowledge").addEventListener("click", async () => {
  const button = get("acknowledge");
  if (!asked) {
    asked = true;
    say(button, "Learn seven new usual days?");
    return;
  }
  asked = false;
  say(button, "This is how it looks now");
  try {
    await post("acknowledge", {});
    say(get("usual"), "Usual days are learned from the beginning.");
  } catch (error) {
    say(get("usual"), explain(error));
  }
});
