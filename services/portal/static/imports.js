// A file of answers on its way: looked at by its first bytes, then sent piece by piece, each stored before the next.
const HEAD_BYTES = 65536;
const PIECE_BYTES = 1048576;
const LONGEST_WAIT_MILLISECONDS = 15000;
const GIVE_UP_MILLISECONDS = 600000;

const form = document.getElementById("import");
const picked = document.getElementById("file");
const looked = document.getElementById("looked");

class Refused extends Error {}

function ask(address, body, type) {
  const headers = { "Content-Type": type, [form.dataset.tokenHeader]: form.dataset.token };
  return fetch(address, { method: "POST", body, headers, credentials: "same-origin" });
}

function fail(text) {
  const place = document.getElementById("sending-failed");
  place.textContent = text || place.dataset.failed;
  place.hidden = false;
  place.focus();
}

function busy(on) {
  for (const button of form.querySelectorAll("button")) button.disabled = on;
  form.setAttribute("aria-busy", String(on));
}

async function look() {
  const file = picked.files[0];
  const said = new URLSearchParams(new FormData(form));
  if (file.size <= HEAD_BYTES) said.set("whole", "yes");
  const answer = await ask(`/imports/look?${said}`, file.slice(0, HEAD_BYTES), "application/octet-stream");
  if (!answer.ok) throw new Refused();
  looked.innerHTML = await answer.text();
  looked.focus({ preventScroll: true });
  looked.scrollIntoView({ block: "start" });
}

async function start() {
  const file = picked.files[0];
  const said = new URLSearchParams(new FormData(form));
  said.set("form_token", form.dataset.token);
  said.set("name", file.name);
  said.set("size", String(file.size));
  const answer = await fetch("/imports/start", { method: "POST", body: said, credentials: "same-origin" });
  if (!answer.ok) throw new Refused();
  await send(file, await answer.json());
}

function show(file, offset) {
  document.getElementById("sending").hidden = false;
  const percent = file.size ? Math.floor((offset * 100) / file.size) : 100;
  document.getElementById("sending-bar").value = percent;
  const told = document.getElementById("sending-told");
  told.textContent = told.dataset.told.replace("{percent}", String(percent));
}

// What is refused for good ends it; what is away is asked again, later each time, for ten minutes after the last piece.
async function piece(address, body) {
  const until = performance.now() + GIVE_UP_MILLISECONDS;
  for (let wait = 500; ; wait = Math.min(wait * 2, LONGEST_WAIT_MILLISECONDS)) {
    let answer = null;
    try {
      answer = await ask(address, body, "application/octet-stream");
    } catch {
      answer = null;
    }
    if (answer?.ok) return answer.json();
    if ((answer && answer.status < 500 && answer.status !== 429) || performance.now() > until) throw new Refused();
    const told = document.getElementById("sending-told");
    told.textContent = told.dataset.again;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

async function send(file, state) {
  let { offset, finished } = state;
  show(file, offset);
  while (!finished) {
    const body = file.slice(offset, offset + PIECE_BYTES);
    const now = await piece(`/imports/${state.id}/content?offset=${offset}`, body);
    if (now.offset === offset && !now.finished) throw new Refused();
    ({ offset, finished } = now);
    show(file, offset);
  }
  location.assign(`/imports/${state.id}`);
}

function resume() {
  const file = picked.files[0];
  const { name, size, offset } = form.dataset;
  if (file.name !== name || (size && Number(size) !== file.size)) {
    fail(document.getElementById("sending-failed").dataset.other);
    return null;
  }
  return send(file, { id: form.dataset.import, offset: Number(offset), finished: false });
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  document.getElementById("sending-failed").hidden = true;
  busy(true);
  try {
    const wanted = event.submitter?.id;
    if (wanted === "start") await start();
    else if (wanted === "resume") await resume();
    else await look();
  } catch {
    fail();
  } finally {
    busy(false);
  }
});

// What was found belongs to one file and one source.
picked?.addEventListener("change", () => looked?.replaceChildren());
document.getElementById("source")?.addEventListener("change", () => looked?.replaceChildren());
