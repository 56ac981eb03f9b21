// Saving.

function hold(on) {
  held = on;
  get("save").hidden = !on;
  get("hold").setAttribute("aria-expanded", String(on));
  get("hold").disabled = get("mask").disabled = on;
  tell(false);
  showProblem();
  if (!on) return get("hold").focus();
  fillClasses();
  get("ask").textContent = `This frame is on hold. ${saves ? "Save it for the next training as:" : "To save frames, enable [output.collect] in fieldguide.toml."}`;
  for (const id of ["pick", "send"]) get(id).hidden = !saves;
  if (!saves) get("other").hidden = true;
  get(saves ? "class" : "back").focus();
}

function fillClasses() {
  const names = [...(model ? model.labels : seen.top.map(([name]) => name))];
  get("class").replaceChildren(...names.map((name) => new Option(unturned(name), name)), new Option("another …", ""));
  get("class").value = seen.top.length ? seen.top[0][0] : names[0];
  askForName();
}

function askForName() {
  get("other").hidden = get("class").value !== "";
  get("new").required = !get("other").hidden;
}

function tell(bad, ...parts) {
  get("told").className = bad ? "bad" : "";
  get("told").replaceChildren(...parts);
}

function base64(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.split(",")[1]);
    reader.onerror = failed;
    reader.readAsDataURL(blob);
  });
}

async function post(path, record) {
  const headers = { "Content-Type": "application/json", "X-Fieldguide-CSRF": csrf };
  try {
    return (await ask(path, { method: "POST", headers, body: JSON.stringify(record) })).body;
  } catch (error) {
    const fresh = error.refused === 403 ? JSON.parse((await ask("health")).body).csrf : csrf;
    if (fresh === csrf) throw error;
    // The service was restarted.
    csrf = fresh;
    return post(path, record);
  }
}

async function store(record) {
  try {
    return await post("save", record);
  } catch (error) {
    // The device has forgotten the frame: send back what it had sent.
    if (error.refused === 409 && !record.picture) return store({ ...record, state: seen, picture: await base64(jpeg) });
    throw error;
  }
}

async function save(event) {
  event.preventDefault();
  const label = get("class").value || get("new").value.trim();
  get("send").disabled = true;
  // The device saves the frame that it sent last, so first wait for a pending one.
  await pending;
  try {
    const { file } = JSON.parse(await store({ viewer, frame: seen.frame, label }));
    hold(false);
    tell(false, "Saved as ", isolated(file.slice(0, file.lastIndexOf("/"))), ": ", isolated(file));
  } catch (error) {
    tell(true, explain(error));
  } finally {
    get("send").disabled = false;
  }
}

get("hold").addEventListener("click", () => hold(true));
get("back").addEventListener("click", () => hold(false));
get("class").addEventListener("change", () => { askForName(); if (!get("other").hidden) get("new").focus(); });
get("save").addEventListener("submit", save);
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && held) hold(false); });
