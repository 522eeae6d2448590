// The pages work without this file. It keeps ages and countdowns moving, stops a double press, and fetches the page
// again now and then while nobody is typing, choosing or reading an opened part.
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
  }
  function busy() {
    var at = document.activeElement;
    return document.hidden || (at && at !== document.body) || Date.now() - touched < 5000 ||
      !window.getSelection().isCollapsed || document.querySelector("main details[open]") ||
      Array.prototype.some.call(document.querySelectorAll("textarea, input[type=text]"), function (field) {
        return field.value !== field.defaultValue;
      });
  }
  ["pointerdown", "keydown", "scroll"].forEach(function (kind) {
    addEventListener(kind, function () { touched = Date.now(); }, { passive: true });
  });
  addEventListener("submit", function (event) {
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", function (event) { if (event.persisted) location.reload(); });
  function keepZone() { // the server writes the times: it needs the viewer's zone, unless one was chosen
    var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone && !document.body.dataset.zone) {
      document.cookie = "firedoor-zone=" + zone + "; path=/; max-age=34560000; samesite=lax" +
        (location.protocol === "https:" ? "; secure" : "");
    }
  }
  keepZone();
  if (document.body.dataset.now) setInterval(tick, 1000);
  if (document.body.dataset.refresh) setInterval(function () { if (!busy()) location.reload(); }, 15000);
})();
