// Puts what the server says has changed into the page. Without it the pages show the same, once.
"use strict";

const address = document.body.dataset.events;
const lost = document.getElementById("lost");
const pulse = document.getElementById("pulse");
const said = document.getElementById("said");
const outage = document.querySelector('[data-live="outage"]');
let stream = null;
// When what the page shows was last known to be so; null: it was made in an outage. And whether it
// is known to be so now.
let seenAt = outage.textContent.trim() ? null : Date.now();
let isCurrent = false;

function growOld() {
  if (isCurrent) seenAt = Date.now();
  isCurrent = false;
}

// Says in the banners since when the page is old. The time stays, so that a screen reader says it
// once; the age beside it moves, and is not for one.
function tellSeen() {
  if (seenAt === null) return;
  const iso = new Date(seenAt).toISOString();
  for (const element of document.querySelectorAll("[data-seen]")) {
    if (element.dataset.seen === iso) continue;
    element.dataset.seen = iso;
    element.textContent = `is as of ${iso.slice(0, 19).replace("T", " ")} UTC`;
    const age = document.createElement("span");
    age.ariaHidden = "true";
    age.append(", ", document.createElement("time"));
    age.lastChild.dateTime = iso;
    age.lastChild.dataset.age = "";
    element.append(age);
  }
}

function update(element, part) {
  if (element.dataset.mark === part.mark || element.innerHTML === part.html) return;
  const before = element.dataset.says && element.textContent;
  const focused = element.contains(document.activeElement) && document.activeElement;
  // The server has escaped every text in it, and the page's policy runs no script of it.
  element.innerHTML = part.html;
  element.dataset.mark = part.mark;
  if (focused) keepFocus(element, focused);
  if (before && before !== element.textContent) {
    said.textContent = `${element.dataset.says}: ${element.textContent}`;
  }
}

function keepFocus(element, focused) {
  const same = [...element.querySelectorAll("a, button, [tabindex]")].find(
    (other) => other.tagName === focused.tagName && other.textContent === focused.textContent);
  (same || document.getElementById("main")).focus({ preventScroll: true });
}

function show(parts) {
  // Rows first: what follows may be in them.
  const names = Object.keys(parts).sort((a, b) => (b === "rows") - (a === "rows"));
  for (const name of names) {
    const element = document.querySelector(`[data-live="${CSS.escape(name)}"]`);
    if (element) update(element, parts[name]);
  }
  // The first that a stream sends is an outage where nothing has been seen since before.
  if (outage.textContent.trim()) growOld();
  else isCurrent = true;
  tellSeen();
  tellAges();
}

function age(seconds) {
  if (seconds < 1) return "just now";
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
}

function tellAges() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const text = age((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (!time.title) time.title = time.textContent;
    if (time.textContent !== text) time.textContent = text;
  }
}

// A page in the background takes none of the few connections that a browser has for a server.
function listen() {
  if (document.hidden) {
    if (stream) stream.close();
    stream = null;
    growOld();
  } else if (!stream) {
    stream = new EventSource(address);
    stream.onmessage = (event) => show(JSON.parse(event.data));
    stream.onopen = () => { lost.hidden = true; pulse.hidden = false; };
    stream.onerror = () => {
      growOld();
      tellSeen();
      tellAges();
      lost.hidden = false;
      pulse.hidden = true;
      // The browser has given up: the server refused, after a restart that wants a login perhaps.
      if (stream && stream.readyState === EventSource.CLOSED) {
        stream = null;
        setTimeout(listen, 5000);
      }
    };
  }
}

// Escape leaves a question unanswered; in a field of a form it is the browser's.
addEventListener("keydown", (event) => {
  const back = event.key === "Escape" && document.querySelector("a[data-escape]");
  if (back && !event.target.closest("input, select")) back.click();
});

tellSeen();
tellAges();
setInterval(tellAges, 1000);
if (address) {
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => { if (stream) stream.close(); stream = null; });
  addEventListener("pageshow", listen);
  listen();
}
