// The live stream: new events on top, filtered, paused, and resumed where the connection was lost.
"use strict";

{
  const LONGEST_WAIT = 30_000;
  const list = document.getElementById("stream");
  const empty = document.getElementById("stream-empty");
  const none = document.getElementById("stream-none");
  const template = document.getElementById("stream-line");
  const live = document.getElementById("live");
  const liveText = document.getElementById("live-text");
  const filters = document.getElementById("stream-filters");
  const filter = document.getElementById("filter");
  const pause = document.getElementById("pause");
  const keep = Number(list.dataset.keep);
  const waiting = [];
  let after = list.dataset.after;
  let paused = false;
  let failures = 0;
  let state = "lost";
  let source = null;

  function say(next) {
    state = next;
    const shown = paused ? "paused" : next;
    live.className = `live live-${shown}`;
    const text = paused && waiting.length ? live.dataset.waiting.replace("{n}", waiting.length) : live.dataset[shown];
    if (liveText.textContent !== text) liveText.textContent = text;
  }

  function matches(row) {
    const words = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const text = row.dataset.text.toLowerCase();
    return words.every((word) => text.includes(word));
  }

  function refilter() {
    let shown = 0;
    for (const row of list.children) {
      row.hidden = !matches(row);
      if (!row.hidden) shown += 1;
    }
    none.hidden = shown > 0 || list.children.length === 0;
  }

  function row(event) {
    const line = template.content.firstElementChild.cloneNode(true);
    line.className = `event tone-${event.tone} group-${event.group} event-new`;
    line.dataset.text = [event.type, event.title, event.detail, event.quote, event.subject].filter(Boolean).join(" ");
    const time = line.querySelector(".event-time");
    time.dateTime = event.time;
    time.title = event.moment;
    time.textContent = event.clock;
    const title = line.querySelector("[data-row]");
    if (event.href) {
      title.href = event.href;
      title.textContent = event.title;
    } else {
      const plain = document.createElement("span");
      plain.dataset.row = "";
      plain.tabIndex = -1;
      plain.textContent = event.title;
      title.replaceWith(plain);
    }
    const quote = line.querySelector(".event-quote");
    if (event.quote) quote.textContent = event.quote;
    else quote.remove();
    const more = line.querySelector(".event-more");
    more.replaceChildren();
    const codes = "codes" in list.dataset;
    const parts = [
      ["code", "", codes && event.type],
      ["span", "", event.detail],
      ["span", "mono event-subject", codes && event.subject],
    ];
    for (const [tag, look, text] of parts) {
      if (!text) continue;
      const part = document.createElement(tag);
      part.className = look;
      part.textContent = text;
      more.append(part);
    }
    return line;
  }

  function show(event) {
    const line = row(event);
    line.hidden = !matches(line);
    list.prepend(line);
    while (list.children.length > keep) list.lastElementChild.remove();
    empty.hidden = true;
    if (!line.hidden) none.hidden = true;
  }

  function connect() {
    source = new EventSource(`${list.dataset.address}?after=${encodeURIComponent(after)}`);
    source.onopen = () => {
      failures = 0;
      say("live");
    };
    source.onmessage = (message) => {
      after = message.lastEventId;
      const event = JSON.parse(message.data);
      if (!paused) show(event);
      else {
        waiting.push(event);
        if (waiting.length > keep) waiting.shift();
      }
      say("live");
    };
    source.onerror = () => {
      // Always by hand: a browser gives up for good after an answer that is no stream, as during a restart.
      source.close();
      say("lost");
      failures += 1;
      setTimeout(connect, Math.min(1000 * 2 ** failures, LONGEST_WAIT) * (0.5 + Math.random() / 2));
    };
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) for (const event of waiting.splice(0)) show(event);
    say(state);
  });
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => event.persisted && connect());
  filters.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("input", refilter);
  connect();
}
