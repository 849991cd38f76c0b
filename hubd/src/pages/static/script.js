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
  const isPassing = (state) => !["stopped", "running", "ending"].includes(state);
  if (watched && watched.dataset.watch.split(" ").some(isPassing)) {
    setInterval(() => reloadIfChanged(watched), 2000);
  }
  if (watched?.dataset.warnsIn) awaitWarning(watched, watched.dataset.warnsIn);

  const list = document.querySelector("[data-events-url]");
  if (list) followRows(list);

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

  for (const left of document.querySelectorAll("[data-left]")) {
    countDown(left, Date.now() + Number(left.dataset.left) * 1000);
  }

  // Looks again when a countdown may begin. By then a server may have been used, so that it begins
  // later. Longer than a day nobody looks at one page.
  function awaitWarning(watched, seconds) {
    setTimeout(async () => {
      const fresh = await reloadIfChanged(watched);
      awaitWarning(watched, fresh?.dataset.warnsIn ?? 10);
    }, Math.min(seconds, 86400) * 1000);
  }

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
    if (watched) setInterval(() => reloadIfChanged(watched), 10000);
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
      if (event.waiting) {
        // A place in line comes before the log, and the next one replaces it.
        status.textContent = String(event.message);
      } else if (event.message) say(String(event.message));
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

  // Keeps the rows of the admin page as they are in the hub. The stream says what the servers of a
  // user do; where a row shows something else the page is fetched again and that row taken from it.
  function followRows(page) {
    const stream = new EventSource(page.dataset.eventsUrl);
    const news = document.getElementById("news");
    const rows = () => page.querySelectorAll("[data-user]");
    const stamps = new Map();
    let busy = false;
    let again = false;

    stream.onmessage = ({ data }) => {
      for (const [user, stamp] of Object.entries(JSON.parse(data))) stamps.set(user, stamp);
      catchUp();
    };

    const isOld = (row) =>
      stamps.has(row.dataset.user) && stamps.get(row.dataset.user) !== row.dataset.stamp;

    async function catchUp() {
      again = busy;
      if (busy || ![...rows()].some(isOld)) return;
      busy = true;
      try {
        const answer = await fetch(location.href, { cache: "no-store" });
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const byUser = new Map();
        for (const row of fresh.querySelectorAll("[data-user]")) byUser.set(row.dataset.user, row);
        for (const row of rows()) if (isOld(row)) exchange(row, byUser.get(row.dataset.user));
      } catch {
        // The stream connects again by itself and then tells everything.
      } finally {
        busy = false;
      }
      if (again) catchUp();
    }

    // Somebody who is on a button of the row stays in the row.
    function exchange(row, fresh) {
      if (!fresh) {
        // Sorted or filtered away, or deleted: it stays until the page is opened again.
        row.dataset.stamp = stamps.get(row.dataset.user);
        return;
      }
      const had = row.contains(document.activeElement) ? document.activeElement : null;
      row.replaceWith(fresh);
      if (had) {
        const buttons = [...fresh.querySelectorAll("button, a")];
        const same = buttons.find((button) => button.textContent === had.textContent);
        (same ?? fresh.querySelector(".row-actions button") ?? buttons[0])?.focus();
      }
      const states = [...fresh.querySelectorAll(".state")].map((state) => state.textContent);
      news.textContent = `${fresh.dataset.user}: ${states.join(", ")}`;
    }
  }

  // Asks for this page again and shows the new one only when the state in it is another, so that
  // nothing moves under a reader in between. A hub that is away is asked again later. Gives what
  // the new page has in the place of `watched`.
  async function reloadIfChanged(watched) {
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
    const fresh = page.querySelector("[data-watch]");
    if (fresh?.dataset.watch !== watched.dataset.watch) location.reload();
    return fresh;
  }
})();
