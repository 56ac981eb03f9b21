"use strict";

const UNKNOWN = "unknown", CONNECTING = "Connecting to the device.";
const HEALTH_MS = 1000, PATIENCE_MS = 12000, SPARK_S = 180;
const get = (id) => document.getElementById(id);
// Below a proxy's path, with or without the slash at its end.
const home = location.origin + location.pathname.replace(/\/*$/, "/");
const viewer = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

let seen = null;        // the shown frame's state, as the server sent it
let bitmap = null;      // its picture
let jpeg = null;        // the same, as received
let held = false;
let pending = null;     // the request for the next frame
let chosen = null;      // class whose map is shown; null: the best
let model = null, threshold = null;
let linkProblem = CONNECTING, healthProblem = "", cameraProblem = "", cameraState = "connecting";
let heard = 0;          // when the device last sent its health
let saves = true;       // whether the device saves frames
let csrf = document.querySelector("meta[name=csrf]").content;

const percent = (share) => (share > 0 && share < 0.01 ? "<1%" : Math.round(share * 100) + "%");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function ago(seconds) {
  if (seconds < 1.5) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

// Names may run from right to left, or hold characters that change the direction of following text.
const unturned = (name) => name.replace(/[\u202a-\u202e\u2066-\u2069]/g, "");
const isolated = (name) => make("bdi", unturned(name));

// In words: a class, "unknown", or that nothing is there.
const inWords = (said) => (said.nothing ? "nothing there" : unturned(said.label));

// Screen readers speak whatever is set, so only set what has changed.
function say(element, ...parts) {
  const text = parts.map((part) => part.textContent ?? part).join("");
  if (element.textContent !== text) element.replaceChildren(...parts);
}

async function ask(path, options = {}) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(home + path, { ...options, signal: patience.signal });
    const kind = (answer.headers.get("content-type") ?? "").split("/")[0];
    const body = await (kind === "multipart" ? answer.formData() : kind === "image" ? answer.blob() : answer.text());
    if (answer.ok) return { status: answer.status, body };
    throw { refused: answer.status, message: body.trim() };
  } finally {
    clearTimeout(timer);
  }
}

function explain(error) {
  if (error.refused === 401) return "Signed out: open this address in another tab and enter the token there.";
  return error.refused ? error.message : "No connection to the device; trying again.";
}
