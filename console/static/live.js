// Keeps a page true while it is looked at. The server says which regions changed and which entries are new; this puts
// them in place, never under a finger, and never over what somebody typed. Without it the page is as of its load.
"use strict";
(function () {
  var badge = document.getElementById("live");
  if (!badge || !window.EventSource) return;
  delete document.body.dataset.refresh; // from here on this file looks after what is shown
  var QUIET = 12, STALE = 20, POLL = 15, RETRY = 5; // seconds
  var stamp = badge.dataset.stamp, source = null, heard = performance.now(), lost = 0, again = 0, polled = 0;
  var waiting = {}, fresh = [], pointer = null, touched = -1e9, pill = null;

  // --- what is under a finger, typed into, or read ---
  var ACTS = "a,button,summary,label,input,select,textarea";
  function isHeld(node) {
    var focus = document.activeElement, chosen = getSelection();
    if (focus && node.contains(focus) && focus.matches("input,select,textarea")) return true;
    if (pointer && node.contains(pointer) && pointer.closest && pointer.closest(ACTS)) return true;
    if (!chosen.isCollapsed && node.contains(chosen.anchorNode)) return true;
    return !!node.querySelector("form[data-sent]");
  }
  addEventListener("pointermove", function (event) { pointer = event.pointerType === "mouse" ? event.target : null; }, { passive: true });
  addEventListener("pointerdown", function (event) { pointer = event.target; touched = performance.now(); }, { passive: true });
  addEventListener("pointerup", function (event) { if (event.pointerType !== "mouse") setTimeout(function () { pointer = null; }, 700); }, { passive: true });
  document.documentElement.addEventListener("pointerleave", function () { pointer = null; });
  addEventListener("scroll", function () { touched = performance.now(); }, { passive: true });

  // --- putting a region in place ---
  function made(html) {
    var template = document.createElement("template");
    template.innerHTML = html;
    return template.content.firstElementChild;
  }
  function isEdited(field) {
    if (field.type === "hidden") return false;
    if (field.type === "radio" || field.type === "checkbox") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return Array.prototype.some.call(field.options, function (one) { return one.selected !== one.defaultSelected; });
    return field.value !== field.defaultValue;
  }
  function named(summary) { return summary.textContent.trim(); }
  function deed(form) { // what it does, without the marks that every rendering makes anew
    var told = form.querySelectorAll("input[type=hidden]:not([name=csrf]):not([name=once]):not([name=version])");
    return [form.getAttribute("action")].concat(Array.prototype.map.call(told, function (one) { return one.name + "=" + one.value; })).join(" ");
  }
  function like(node, next) { // the same press or link in the new rendering: its words alone stand at several
    function whole(one) { return [one.name || "", one.value || "", one.getAttribute("href"), one.textContent.trim(), one.form ? deed(one.form) : ""].join("|"); }
    return Array.prototype.find.call(next.querySelectorAll(node.tagName), function (one) { return whole(one) === whole(node); });
  }
  function keep(old, next) { // opened parts stay open, what was typed or chosen stays, and what was pressed keeps its mark
    var opened = Array.prototype.map.call(old.querySelectorAll("details[open] > summary"), named);
    next.querySelectorAll("details > summary").forEach(function (summary) {
      summary.parentNode.open = opened.indexOf(named(summary)) >= 0;
    });
    old.querySelectorAll("input[id],select[id],textarea[id]").forEach(function (field) {
      var twin = next.querySelector("#" + CSS.escape(field.id));
      if (!twin || !isEdited(field)) return;
      if (field.type === "radio" || field.type === "checkbox") twin.checked = field.checked; else twin.value = field.value;
    });
    old.querySelectorAll("form[data-asked]").forEach(function (form) { // its answer may be lost: pressed again, it counts once
      var twin = Array.prototype.find.call(next.querySelectorAll("form"), function (one) { return deed(one) === deed(form); });
      if (!twin || !twin.elements.once || !form.elements.once) return;
      twin.elements.once.value = form.elements.once.value;
      twin.dataset.asked = "yes";
    });
  }
  function refocus(old, next) {
    var focus = document.activeElement;
    if (!focus || !old.contains(focus)) return null;
    var twin = like(focus, next), head = next.querySelector("h2");
    if (!twin && head) head.tabIndex = -1;
    return twin || head;
  }
  function wouldLose(old, next) { // what somebody typed has no place any more: it stays until they are done
    return Array.prototype.some.call(old.querySelectorAll("input[id],select[id],textarea[id]"), function (field) {
      return isEdited(field) && field.offsetParent && !next.querySelector("#" + CSS.escape(field.id));
    });
  }
  function swap(name, html) {
    var old = document.querySelector('[data-region="' + name + '"]'), next = made(html);
    delete waiting[name];
    if (!old || !next) return;
    if (isHeld(old) || wouldLose(old, next)) { waiting[name] = html; return; }
    keep(old, next);
    var focus = refocus(old, next);
    old.replaceWith(next);
    if (focus) focus.focus({ preventScroll: true });
  }
  function still(change) { // whatever is looked at stays where it is on the screen
    var top = 0, bar = document.querySelector(".head"), mark = null;
    if (bar && getComputedStyle(bar).position === "sticky") top = bar.getBoundingClientRect().bottom;
    var parts = document.querySelectorAll(".card, .log > li");
    for (var n = 0; n < parts.length && !mark; n++) {
      var box = parts[n].getBoundingClientRect();
      var under = pointer && performance.now() - touched < 5000 ? parts[n].contains(pointer) : scrollY > 0 && box.bottom > top + 20 && box.height > 0;
      if (under) mark = { node: parts[n], id: parts[n].id || parts[n].getAttribute("aria-labelledby"), y: box.top };
    }
    change();
    if (!mark) return;
    var now = mark.node.isConnected ? mark.node : mark.id && document.querySelector('#' + CSS.escape(mark.id) + ', [aria-labelledby="' + CSS.escape(mark.id) + '"]');
    if (now) scrollBy(0, now.getBoundingClientRect().top - mark.y);
  }

  // --- entries of the timeline: put in where nobody reads, else offered by a pill ---
  function isRead(log) {
    var box = log.getBoundingClientRect(), focus = document.activeElement;
    if (focus && log.contains(focus)) return true;
    if (pointer && log.contains(pointer)) return true;
    return box.top < 0 && box.bottom > 0 || log.dataset.order === "oldest";
  }
  function place(log, html, isNew) {
    var next = made(html), old = document.getElementById(next.id), empty = log.querySelector(".empty");
    if (old) { if (!isHeld(old)) old.replaceWith(next); return; }
    if (empty) empty.remove();
    if (isNew) next.classList.add("new");
    var newest = log.dataset.order !== "oldest", at = next.dataset.at || "", after = null;
    Array.prototype.some.call(log.children, function (one) { // in the order of what happened, not of what was written
      if (!one.id || (newest ? one.dataset.at > at : one.dataset.at <= at)) return false;
      after = one;
      return true;
    });
    log.insertBefore(next, after);
    setTimeout(function () { next.classList.remove("new"); }, 15000);
  }
  function enter(entries) {
    var log = document.querySelector(".log");
    if (!log) return;
    entries.sort(function (one, other) { return one.id - other.id; });
    entries.forEach(function (entry) {
      var known = document.getElementById("t" + entry.id);
      if (known) place(log, entry.html, false);
      else if (isRead(log)) { if (!fresh.some(function (one) { return one.id === entry.id; })) fresh.push(entry); }
      else place(log, entry.html, true);
    });
    offer(log);
  }
  function offer(log) {
    if (!pill) {
      pill = document.createElement("button");
      pill.type = "button"; pill.className = "pill";
      pill.addEventListener("click", function () {
        var first = fresh.length ? "t" + fresh[fresh.length - 1].id : null;
        fresh.splice(0).forEach(function (entry) { place(log, entry.html, true); });
        offer(log);
        var at = first && document.getElementById(first);
        if (at) { at.scrollIntoView({ block: "center" }); at.querySelector("a").focus({ preventScroll: true }); }
      });
      document.body.append(pill);
    }
    pill.hidden = !fresh.length;
    pill.textContent = fresh.length + " new " + (log.dataset.order === "oldest" ? "↓" : "↑");
  }

  function take(said) {
    still(function () {
      Object.keys(said.regions).forEach(function (name) { swap(name, said.regions[name]); });
      enter(said.entries || []);
    });
    if (said.title) { var text = document.createElement("textarea"); text.innerHTML = said.title; document.title = text.value; }
    if (said.gap) poll();
  }
  function settle() { // what waited for a finger to leave
    var names = Object.keys(waiting);
    if (names.length) still(function () { names.forEach(function (name) { swap(name, waiting[name]); }); });
  }

  // --- the stream, and what stands in for it ---
  function connect() {
    var url = badge.dataset.live;
    clearTimeout(again); again = 0;
    source = new EventSource(url + (url.indexOf("?") < 0 ? "?" : "&") + "after=" + encodeURIComponent(stamp));
    source.onopen = hear;
    source.addEventListener("beat", hear);
    source.addEventListener("reload", function () { hear(); poll(); });
    source.addEventListener("change", function (event) {
      hear();
      stamp = event.lastEventId;
      badge.dataset.stamp = stamp;
      take(JSON.parse(event.data));
    });
    source.onerror = function () {
      lost = lost || performance.now();
      if (source.readyState === EventSource.CLOSED && !again) again = setTimeout(connect, RETRY * 1000);
    };
  }
  function hear() { heard = performance.now(); lost = 0; show(); }
  function show() {
    var now = performance.now(), gone = Math.floor((now - (lost || heard)) / 1000);
    if (lost ? gone < 3 : gone < QUIET) return tell("live", "live", "");
    if (gone < STALE) return tell("reconnecting", "reconnecting", gone + " s");
    tell("stale", "stale", gone + " s");
  }
  function tell(state, words, count) {
    if (badge.dataset.state !== state) {
      badge.dataset.state = state; badge.hidden = false;
      badge.replaceChildren(Object.assign(document.createElement("span"), { className: "dot" }), words, Object.assign(document.createElement("span"), { className: "count" }));
      badge.firstChild.setAttribute("aria-hidden", "true"); badge.lastChild.setAttribute("aria-hidden", "true");
    }
    badge.lastChild.textContent = count ? " " + count : "";
  }
  function poll() {
    polled = performance.now();
    fetch(location.href, { headers: { Accept: "text/html" } }).then(function (answer) {
      return answer.ok ? answer.text() : Promise.reject(answer.status);
    }).then(function (html) {
      var page = new DOMParser().parseFromString(html, "text/html"), said = { regions: {}, entries: [], title: "" };
      var at = page.getElementById("live");
      if (!at) return;
      page.querySelectorAll("[data-region]").forEach(function (node) { said.regions[node.dataset.region] = node.outerHTML; });
      page.querySelectorAll(".log > li[id]").forEach(function (node) { said.entries.push({ id: +node.id.slice(1), html: node.outerHTML }); });
      take(said);
      stamp = at.dataset.stamp; badge.dataset.stamp = stamp; document.title = page.title;
    }).catch(function () { /* the badge says since when nothing was heard */ });
  }
  setInterval(function () {
    var quiet = (performance.now() - heard) / 1000;
    settle();
    show();
    if (quiet > QUIET && source.readyState === EventSource.OPEN) { source.close(); lost = heard; connect(); }
    if (quiet > POLL && performance.now() - polled > POLL * 1000 && !document.hidden) poll();
  }, 1000);
  addEventListener("focusout", function () { setTimeout(settle, 150); });
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden && performance.now() - heard > 8000) { source.close(); connect(); }
  });
  addEventListener("pagehide", function () { source.close(); });
  connect();
})();
