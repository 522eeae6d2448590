// The pages work without this file. It keeps ages and countdowns moving, fetches the page again now and then while
// nobody is typing, choosing or reading an opened part, and lets single keys work.
"use strict";
(function () {
  var shown = Date.parse(document.body.dataset.now), loaded = performance.now(), touched = 0;

  function spoken(seconds) {
    var s = Math.max(0, Math.floor(seconds));
    if (s < 60) return s + " s";
    var m = Math.floor(s / 60);
    if (m < 60) return m + " min";
    var h = Math.floor(m / 60);
    if (h < 48) return h + " h" + (m % 60 ? " " + (m % 60) + " min" : "");
    return Math.floor(h / 24) + " d";
  }
  function tick() {
    var now = shown + performance.now() - loaded; // the server's clock, not the phone's
    document.querySelectorAll("[data-since]").forEach(function (node) {
      node.textContent = spoken((now - Date.parse(node.dataset.since)) / 1000);
    });
    document.querySelectorAll("[data-due]").forEach(function (node) {
      var left = (Date.parse(node.dataset.due) - now) / 1000;
      node.textContent = left >= 0 ? "in " + spoken(left) : spoken(-left) + " late";
      node.classList.toggle("late", left < 0);
    });
    document.querySelectorAll("[data-until]").forEach(function (node) { // what can be pressed for some seconds only
      if (Date.parse(node.dataset.until) < now) node.remove();
    });
  }
  function busy() {
    var at = document.activeElement;
    return document.hidden || !navigator.onLine || (at && at !== document.body) || Date.now() - touched < 5000 ||
      !window.getSelection().isCollapsed || document.querySelector("main details[open]") ||
      Array.prototype.some.call(document.querySelectorAll("textarea, input[type=text]"), function (field) {
        return field.value !== field.defaultValue;
      });
  }
  ["pointerdown", "keydown", "scroll"].forEach(function (kind) {
    addEventListener(kind, function () { touched = Date.now(); }, { passive: true });
  });
  function keepZone() { // the server writes the times: it needs the viewer's zone, unless one was chosen
    var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone && !document.body.dataset.zone) {
      document.cookie = "firedoor-zone=" + zone + "; path=/; max-age=34560000; samesite=lax" +
        (location.protocol === "https:" ? "; secure" : "");
    }
  }
  keepZone();
  function pin() { // a phone's line of what broke, for when its head is out of sight
    var head = document.querySelector(".head");
    document.documentElement.classList.toggle("past-head", !!head && head.getBoundingClientRect().bottom < 0);
  }
  document.documentElement.classList.add("pins");
  addEventListener("scroll", pin, { passive: true });
  pin();
  if (navigator.clipboard) document.documentElement.classList.add("copies"); // only over https, or on this machine
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-copy]");
    if (!button) return;
    navigator.clipboard.writeText(button.parentNode.previousElementSibling.textContent).then(function () {
      button.textContent = "Copied";
    }, function () { button.textContent = "Not copied: select it"; });
  });

  // --- single keys: inert where somebody types, with a modifier, and where they are switched off ---
  // Which key does what is chosen under /preferences; the page says the keys in force, each with its words.
  var MAP = {}, GOES = [
    ["i", "go to what needs a human"], ["s", "go to all incidents"], ["a", "go to the alerts"],
    ["r", "go to the runbooks"], ["p", "go to who is on call"], ["h", "go to the health page"]
  ];
  JSON.parse(document.body.dataset.keymap || "[]").forEach(function (one) { MAP[one[0]] = one[1]; });
  function sheet() {
    var lines = [];
    Object.keys(MAP).forEach(function (deed) {
      if (deed !== "go") { lines.push(MAP[deed]); return; }
      GOES.forEach(function (one) { lines.push([MAP.go[0] + " " + one[0], one[1]]); });
    });
    return lines.concat([["Esc", "let go"]]);
  }
  var PLACES = { i: "/", s: "/search", a: "/alerts", r: "/runbooks", p: "/people", h: "/health" };
  var went = 0;

  function typing(node) {
    return node && (node.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName));
  }
  function help() {
    var known = document.querySelector("dialog.keys");
    if (known) { known.close(); known.remove(); return; }
    var dialog = document.createElement("dialog"), list = document.createElement("dl"), close = document.createElement("button");
    var heading = document.createElement("h2");
    heading.textContent = "Keys"; heading.id = "keys-heading";
    dialog.className = "keys"; dialog.setAttribute("aria-labelledby", heading.id);
    list.className = "facts";
    sheet().forEach(function (one) {
      var key = document.createElement("dt"), words = document.createElement("dd");
      one[0].split(" ").filter(Boolean).forEach(function (part) {
        var cap = document.createElement("kbd");
        cap.textContent = part; key.append(cap, " ");
      });
      words.textContent = one[1];
      list.append(key, words);
    });
    close.textContent = "Close"; close.type = "button";
    close.addEventListener("click", function () { dialog.close(); });
    dialog.addEventListener("close", function () { dialog.remove(); });
    dialog.append(heading, list, close);
    document.body.append(dialog);
    dialog.showModal();
  }
  function rows() {
    return Array.prototype.filter.call(document.querySelectorAll("[data-row]"), function (row) { return row.offsetParent; });
  }
  function move(by) {
    var all = rows(), now = document.querySelector("[data-row].at");
    if (!all.length) return;
    var next = all[Math.min(Math.max(all.indexOf(now) + by, 0), all.length - 1)];
    if (now) now.classList.remove("at");
    next.classList.add("at");
    next.scrollIntoView({ block: "nearest" });
    var link = next.querySelector("[data-open]");
    if (link) link.focus({ preventScroll: true });
  }
  function reach(selector) { // opens what hides it, and puts the finger on it; pressing is left to the person
    var node = document.querySelector(selector);
    if (!node) return;
    for (var up = node.closest("details"); up; up = up.parentElement.closest("details")) up.open = true;
    var field = node.matches("form") ? node.querySelector("input:not([type=hidden]), textarea, button") : node;
    field.scrollIntoView({ block: "center" });
    field.focus();
  }
  function acknowledge() {
    var row = document.querySelector("[data-row].at");
    var form = (row || document).querySelector('form[action$="/acknowledge"]');
    if (form && (row || /^\/i\//.test(location.pathname))) form.requestSubmit();
  }
  var DOES = {
    help: help,
    search: function () {
      var field = document.querySelector("[data-key=search]");
      if (field && field.offsetParent) field.focus(); else location.assign("/search");
    },
    next: function () { move(1); }, previous: function () { move(-1); },
    open: function () {
      var link = document.querySelector("[data-row].at [data-open]");
      if (link) location.assign(link.href);
    },
    go: function () { went = Date.now(); },
    acknowledge: acknowledge,
    note: function () { reach('main [name="text"]'); },
    escalate: function () { reach('form[action$="/escalate"]'); },
    updates: function () { reach('form[action$="/updates"]'); }
  };
  function deedOf(key) {
    return Object.keys(MAP).find(function (deed) { return MAP[deed][0] === key; });
  }
  addEventListener("keydown", function (event) {
    if (event.key === "Escape" && typing(document.activeElement)) document.activeElement.blur();
    if (document.body.dataset.keys !== "on" || event.defaultPrevented) return;
    var deed = deedOf(event.key);
    if (event.repeat && deed !== "next" && deed !== "previous") return;
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (document.querySelector("dialog[open]") && deed !== "help") return;
    var place = went && Date.now() - went < 1500 ? PLACES[event.key] : null;
    went = 0;
    if (place) { event.preventDefault(); location.assign(place); return; }
    if (deed) { event.preventDefault(); DOES[deed](); }
  });

  // --- the wallboard: swapped in place, so that a sound that was allowed stays allowed ---
  var unheld = Number(document.body.dataset.wall || 0), sound = null;
  function beep() {
    [0, .25, .5].forEach(function (at) {
      var tone = sound.createOscillator(), loud = sound.createGain();
      tone.frequency.value = 660; loud.gain.value = .15;
      tone.connect(loud).connect(sound.destination);
      tone.start(sound.currentTime + at); tone.stop(sound.currentTime + at + .15);
    });
  }
  function renewWall() {
    fetch(location.href, { headers: { Accept: "text/html" } }).then(function (answer) {
      if (!answer.ok) throw new Error(String(answer.status));
      return answer.text();
    }).then(function (text) {
      var fresh = new DOMParser().parseFromString(text, "text/html"), count = Number(fresh.body.dataset.wall || 0);
      document.querySelector("main").replaceWith(fresh.querySelector("main"));
      document.title = fresh.title;
      shown = Date.parse(fresh.body.dataset.now); loaded = performance.now();
      if (sound && count > unheld) beep();
      unheld = count;
      document.body.classList.remove("stale");
    }).catch(function () { document.body.classList.add("stale"); });
  }
  if (document.body.dataset.wall !== undefined) {
    setInterval(renewWall, 10000);
    if (window.EventSource) new EventSource("/live?page=wall").addEventListener("change", renewWall); // sooner than that
    var toggle = document.querySelector("[data-sound]");
    toggle.hidden = false;
    toggle.addEventListener("click", function () {
      if (sound) { sound.close(); sound = null; } else { sound = new AudioContext(); beep(); }
      toggle.textContent = sound ? "Sound: on" : "Sound: off";
    });
  }

  if (document.body.dataset.now) setInterval(tick, 1000);
  if (document.body.dataset.refresh) setInterval(function () { if (!busy()) location.reload(); }, 15000);
})();
