// Comfort for every page: keyboard shortcuts and times that keep counting. Everything works without it.
"use strict";

const SEQUENCE_MILLISECONDS = 1200;
let sequence = "";
let sequenceEnds = 0;

// Single keys disturb people who dictate, so they can be switched off (WCAG 2.1.4), in this browser.
const shortcuts = {
  on: () => localStorage.getItem("shortcuts") !== "off",
  set: (on) => localStorage.setItem("shortcuts", on ? "on" : "off"),
};

function typing(target) {
  return target.isContentEditable || ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName);
}

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
  if (rows.length === 0) return false;
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const next = here === -1 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(here + step, 0), rows.length - 1);
  rows[next].focus();
  rows[next].scrollIntoView({ block: "nearest" });
  return true;
}

function showHelp() {
  const help = document.getElementById("help");
  if (help && !help.open) help.showModal();
  return Boolean(help);
}

function focusFilter() {
  const filter = document.querySelector("[data-filter]");
  if (!filter) return false;
  filter.focus();
  if (filter.select) filter.select();
  return true;
}

function follow(keys) {
  const link = document.querySelector(`[data-keys="${CSS.escape(keys)}"]`);
  if (!link) return false;
  link.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === "Escape" && typing(event.target)) {
    event.target.blur();
    return;
  }
  if (typing(event.target) || document.querySelector("dialog[open]") || !shortcuts.on()) return;
  const now = performance.now();
  const keys = sequence && now < sequenceEnds ? `${sequence} ${event.key}` : event.key;
  sequence = "";
  let done = false;
  if (keys.includes(" ") && keys !== " ") done = follow(keys);
  else if (event.key === "g") {
    sequence = "g";
    sequenceEnds = now + SEQUENCE_MILLISECONDS;
  } else if (event.key === "/") done = focusFilter();
  else if (event.key === "j") done = move(1);
  else if (event.key === "k") done = move(-1);
  else if (event.key === "?") done = showHelp();
  if (done) event.preventDefault();
});

for (const button of document.querySelectorAll("[data-help]")) {
  button.hidden = false;
  button.addEventListener("click", showHelp);
}

const switchBox = document.getElementById("shortcuts");
if (switchBox) {
  switchBox.checked = shortcuts.on();
  switchBox.addEventListener("change", () => shortcuts.set(switchBox.checked));
}

// What went wrong is read out and seen first.
(document.getElementById("failed") ?? document.getElementById("arrived"))?.focus();

// A form is sent once, however often the button is pressed; the server would recognise a second sending anyway.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// A filter applies as soon as something else is chosen; its button stays for those without scripts.
for (const form of document.querySelectorAll("form[data-at-once]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// A file that would be refused for its size is not sent at all.
for (const field of document.querySelectorAll("input[data-most-bytes]")) {
  field.addEventListener("change", () => {
    const large = [...field.files].some((file) => file.size > Number(field.dataset.mostBytes));
    field.setCustomValidity(large ? field.dataset.tooLarge : "");
    field.reportValidity();
  });
}

// Deadlines keep counting while a page stays open, in the same words as the server's.
const UNITS = [
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const ENOUGH = 2;

function span(exactly) {
  const seconds = Math.max(Math.round(exactly / 60), 1) * 60;
  const found = UNITS.find(([, length]) => seconds / length >= ENOUGH) ?? UNITS.at(-1);
  const [unit, length] = found;
  const format = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit, unitDisplay: "short" });
  return format.format(Math.round(seconds / length));
}

function count() {
  const words = document.documentElement.dataset;
  for (const due of document.querySelectorAll("[data-due]")) {
    const left = (Date.parse(due.dataset.due) - Date.now()) / 1000;
    const text = (left > 0 ? words.left : words.overdue).replace("{span}", span(Math.abs(left)));
    if (due.textContent !== text) due.textContent = text;
    if (left <= 0) {
      due.closest(".due")?.classList.replace("due-soon", "due-overdue");
      due.closest(".clock")?.classList.replace("clock-soon", "clock-overdue");
      due.closest(".case-row")?.classList.add("case-overdue");
    }
  }
}

setInterval(count, 30_000);

// What goes on in steps goes on by itself; the button stays for those without scripts.
document.querySelector("form[data-go-on]")?.requestSubmit();

// Who waits for something is told how far it is, and shown it as soon as it is there: in its place where it has one
// (what was typed elsewhere on the page stays), else as the page. Nothing else moves until then.
const LOOK_AGAIN_MILLISECONDS = 2_000;

async function look(waiting) {
  const answer = await fetch(waiting.dataset.poll);
  if (!answer.ok || answer.redirected) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-so-far]")) {
    const told = page.querySelector(`[data-so-far="${CSS.escape(part.dataset.soFar)}"]`);
    if (told) part.replaceChildren(...told.childNodes);
  }
  const next = page.querySelector("[data-poll]");
  if (!next) return arrive(waiting, waiting.id && page.getElementById(waiting.id));
  waiting.dataset.poll = next.dataset.poll;
  lookLater(waiting);
}

function arrive(waiting, place) {
  if (!place) return location.assign(waiting.dataset.poll);
  waiting.replaceWith(document.adoptNode(place));
  // Read out, which only a change of what is there already is.
  const said = place.querySelector("[role=status]");
  if (said) setTimeout((words) => (said.textContent = words), 100, said.textContent);
}

function lookLater(waiting) {
  setTimeout(() => look(waiting).catch(() => lookLater(waiting)), LOOK_AGAIN_MILLISECONDS);
}

const waiting = document.querySelector("[data-poll]");
if (waiting) lookLater(waiting);
