// The only script of the pages. Each part wakes up where its element is on the page; without it
// every page still works, live progress apart.
"use strict";

(() => {
  // What went wrong is read first.
  document.querySelector("[data-focus]")?.focus();

  // A form goes out once, however often its button is pressed.
  const sent = new Set();
  document.addEventListener("submit", (event) => {
    if (sent.has(event.target)) {
      event.preventDefault();
      return;
    }
    sent.add(event.target);
    for (const button of event.target.querySelectorAll("button")) {
      button.setAttribute("aria-disabled", "true");
    }
  });
  // A page that the browser kept may be long out of date.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }

  const refused = document.querySelector("form[data-typed]");
  if (refused) putBack(refused, JSON.parse(refused.dataset.typed));

  const pending = document.querySelector("[data-progress-url]");
  if (pending) followProgress(pending);

  const watched = document.querySelector("[data-watch]");
  if (watched && !["stopped", "running"].includes(watched.dataset.watch)) {
    setInterval(() => reloadIfChanged(watched.dataset.watch), 2000);
  }

  // Copies the text of a field. Browsers offer the clipboard over https and on this machine only;
  // elsewhere the old way does it, or leaves the text selected.
  async function copy(button) {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    let done;
    try {
      await navigator.clipboard.writeText(field.value);
      done = true;
    } catch {
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Press Ctrl+C";
  }

  const left = document.querySelector("[data-left]");
  if (left) countDown(left, Date.now() + Number(left.dataset.left) * 1000);

  // Counts down to the end of a server that nobody uses; when it comes, the page shows what happened.
  function countDown(place, end) {
    const show = () => {
      const seconds = Math.max(0, Math.round((end - Date.now()) / 1000));
      const rest = String(seconds % 60).padStart(2, "0");
      place.textContent = `${Math.floor(seconds / 60)}:${rest}`;
    };
    show();
    setInterval(show, 1000);
    const watched = place.closest("[data-watch]");
    if (watched) setInterval(() => reloadIfChanged(watched.dataset.watch), 10000);
  }

  // Fills a form that was refused as it was sent: a field that comes up several times has its
  // values in their order, and a box that is not among them was not ticked.
  function putBack(form, fields) {
    const places = {};
    for (const field of form.elements) {
      const values = fields[field.name] ?? [];
      if (["hidden", "submit", "button", "file", "password"].includes(field.type)) continue;
      if (["checkbox", "radio"].includes(field.type)) {
        field.checked = values.includes(field.value);
      } else if (field.options) {
        for (const option of field.options) option.selected = values.includes(option.value);
      } else {
        const place = (places[field.name] = (places[field.name] ?? -1) + 1);
        if (place < values.length) field.value = values[place];
      }
    }
  }

  // Shows the progress stream. It begins with all that was said before, also when the browser
  // connects again; so a message is known by its place in the stream, and said only once.
  function followProgress(page) {
    const bar = page.querySelector("progress");
    const status = document.getElementById("progress_message");
    const log = document.getElementById("progress_log");
    const stream = new EventSource(page.dataset.progressUrl);
    let place = 0;

    stream.onopen = () => {
      place = 0;
    };
    stream.onmessage = ({ data }) => {
      let event;
      try {
        event = JSON.parse(data);
      } catch {
        return;
      }
      if (Number.isFinite(event.progress)) bar.value = event.progress;
      if (event.message) say(String(event.message));
      if (event.ready) {
        stream.close();
        location.replace(page.dataset.nextUrl);
      } else if (event.failed) {
        // The page of a failed start is at the same address.
        stream.close();
        setTimeout(() => location.reload(), 300);
      }
    };
    stream.onerror = () => {
      if (stream.readyState !== EventSource.CLOSED) return;
      status.textContent = "The connection was lost. Trying again.";
      setTimeout(() => location.reload(), 3000);
    };

    function say(message) {
      const line = log.children[place] ?? log.appendChild(document.createElement("li"));
      place += 1;
      if (line.textContent !== message) line.textContent = message;
      if (place === log.children.length) {
        if (status.textContent !== message) status.textContent = message;
        log.scrollTop = log.scrollHeight;
      }
    }
  }

  // Asks for this page again and shows the new one only when the state in it is another, so that
  // nothing moves under a reader in between. A hub that is away is asked again later.
  async function reloadIfChanged(state) {
    if (document.hidden) return;
    let answer;
    try {
      answer = await fetch(location.href, { redirect: "manual", cache: "no-store" });
    } catch {
      return;
    }
    if (answer.status === 502 || answer.status === 503) return;
    const text = answer.type === "opaqueredirect" ? "" : await answer.text();
    const page = new DOMParser().parseFromString(text, "text/html");
    if (page.querySelector("[data-watch]")?.dataset.watch !== state) location.reload();
  }
})();
