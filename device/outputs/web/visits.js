// Today's visits, and how many there were on each of the last days.

const VISITS_MS = 3000;
const rows = new Map();  // by the visit's id

async function followVisits() {
  for (;;) {
    if (!document.hidden) {
      try {
        showVisits(JSON.parse((await ask("visits")).body));
      } catch {
        // The health says that there is no connection.
      }
    }
    await sleep(VISITS_MS);
  }
}

const sum = (counts) => Object.values(counts).reduce((all, count) => all + count, 0);

function showVisits({ follows, going, today, more, days }) {
  const looks = seen !== null && seen.seen !== null;
  get("visits").hidden = !follows || !(looks || going || days.some((day) => sum(day.visits)));
  say(get("today"), ...todayInWords(days.at(-1)?.visits ?? {}));
  const visits = going ? [going, ...today] : today;
  for (const id of [...rows.keys()]) if (!visits.some((visit) => visit.visit === id)) rows.delete(id);
  const wanted = visits.map(visitRow), list = get("visit-list");
  // Only if they have changed: the list may be scrolled, and be read out.
  if (wanted.length !== list.children.length || wanted.some((row, i) => row !== list.children[i])) list.replaceChildren(...wanted);
  say(get("more"), more ? `and ${more} more before these` : "");
  showDays(days);
}

function todayInWords(counts) {
  const all = sum(counts);
  if (!all) return ["No visit has ended today yet."];
  const names = inOrder(counts).flatMap(([name, count], i) => [i ? ", " : "", `${count} `, isolated(name)]);
  return [`${all} today: `, ...names];
}

const inOrder = (counts) => Object.entries(counts).sort(([, one], [, other]) => other - one);

function visitRow(visit) {
  const row = rows.get(visit.visit) ?? newVisitRow();
  rows.set(visit.visit, row);
  const [picture, name, when, why] = [row.firstChild, ...row.lastChild.children];
  const source = `${home}visit-picture?visit=${visit.visit}&best=${visit.best}&ended=${visit.end !== null}`;
  if (picture.src !== source) picture.src = source;
  const time = new Date(visit.start * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const unknown = visit.label === UNKNOWN;
  say(name, unturned(visit.label), " ", make("span", unknown ? "" : percent(visit.score)));
  say(when, `${time}, ${visit.end === null ? "still there" : lasting(visit.end - visit.start)}`);
  say(why, isolated(visit.why ?? ""));
  row.classList.toggle("unknown", unknown);
  picture.alt = `${unturned(visit.label)}, ${time}`;
  return row;
}

function newVisitRow() {
  const row = make("li"), picture = make("img"), words = make("div");
  picture.width = picture.height = 72;
  picture.addEventListener("error", () => picture.classList.add("missing"));
  picture.addEventListener("load", () => picture.classList.remove("missing"));
  words.append(make("b"), make("span"), make("span"));
  row.append(picture, words);
  return row;
}

function lasting(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

function showDays(days) {
  const most = Math.max(1, ...days.map((day) => sum(day.visits)));
  get("days").replaceChildren(...days.map((day, i) => dayBar(day, most, i === days.length - 1)));
}

function dayBar({ day, visits }, most, isToday) {
  const item = make("li"), count = sum(visits), date = new Date(`${day}T12:00:00`);
  const name = isToday ? "today" : date.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
  const which = inOrder(visits).map(([label, number]) => `${number} ${unturned(label)}`).join(", ");
  item.title = which ? `${name}: ${which}` : `${name}: no visits`;
  const bar = make("i");
  bar.style.height = `${100 * count / most}%`;
  const column = make("div");
  column.append(bar);
  // What is spoken: the number of visits and the whole date.
  item.append(make("span", String(count)), column, make("small", String(date.getDate())), make("span", name, "spoken"));
  item.children[2].ariaHidden = "true";
  return item;
}
