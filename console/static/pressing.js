// What becomes of a press on a bad line: a double one is stopped, a lost one can be made again, and what was typed stays.
"use strict";
(function () {
  var AGAIN = 5000; // a tap within it is the same one; later the form's own mark makes it safe
  var TYPED = "firedoor-typed ", PRESSED = "firedoor-pressed"; // kept by this tab alone, and gone with it

  // --- what was typed, by the form's address and the field; only fields that say so, none of them a secret ---
  function read(action) {
    try { return JSON.parse(sessionStorage.getItem(TYPED + action)) || {}; } catch (nothing) { return {}; }
  }
  function keep(action, typed) {
    try {
      if (Object.keys(typed).some(function (name) { return name !== "once"; })) sessionStorage.setItem(TYPED + action, JSON.stringify(typed));
      else sessionStorage.removeItem(TYPED + action);
    } catch (full) { /* the page works without it */ }
  }
  function forget(isMeant) {
    try { Object.keys(sessionStorage).filter(isMeant).forEach(function (key) { sessionStorage.removeItem(key); }); } catch (closed) { /* as above */ }
  }
  function addressOf(form) { return form.getAttribute("action") || location.pathname; }
  function isKept(field) { return field.matches && field.matches("[data-keep][id]") && field.type !== "password" && field.form; }
  addEventListener("input", function (event) {
    var field = event.target;
    if (!isKept(field)) return;
    var once = field.form.elements.once, action = addressOf(field.form), typed = read(action);
    if (once && field.form.dataset.asked) { // other words than those of the press before are a press of their own
      once.value = once.value.slice(0, 90) + ".";
      delete field.form.dataset.asked;
    }
    delete typed.once;
    if (field.value) typed[field.id] = field.value; else delete typed[field.id];
    keep(action, typed);
  });
  function restore() {
    document.querySelectorAll("[data-keep][id]").forEach(function (field) {
      if (!isKept(field)) return;
      var typed = read(addressOf(field.form)), words = typed[field.id];
      if (typeof words !== "string" || field.value && field.value !== words) return;
      field.value = words;
      for (var up = field.closest("details"); up; up = up.parentElement.closest("details")) up.open = true;
      if (typed.once && field.form.elements.once) { // it may have arrived: with the same mark it counts once
        field.form.elements.once.value = typed.once;
        field.form.dataset.asked = "yes";
      }
    });
  }
  if (document.querySelector("[data-said]")) { // the last press went through
    var done = null;
    try { done = sessionStorage.getItem(PRESSED); } catch (closed) { /* as above */ }
    forget(function (key) { return key === PRESSED || key === TYPED + done; });
  }
  restore();

  // --- the line: the browser says that it is gone, and one question to our own server makes sure ---
  var banner = document.getElementById("offline"), isAway = false;
  function say(away) {
    isAway = away;
    banner.firstElementChild.hidden = !away;
  }
  function look() {
    if (navigator.onLine) return say(false);
    fetch(banner.dataset.ask, { method: "HEAD", cache: "no-store" }).then(function () { say(false); }, function () { say(!navigator.onLine); });
  }
  if (banner) {
    addEventListener("online", look);
    addEventListener("offline", look);
    if (!navigator.onLine) look();
  }

  // --- the press ---
  function lift(form) { delete form.dataset.sent; }
  addEventListener("submit", function (event) {
    var form = event.target;
    if (isAway || form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = form.dataset.asked = "yes";
    setTimeout(lift, AGAIN, form);
    if (form.method !== "post") return;
    if (addressOf(form) === "/signout") forget(function (key) { return key.indexOf(TYPED) === 0; });
    var typed = read(addressOf(form));
    if (form.elements.once) typed.once = form.elements.once.value;
    keep(addressOf(form), typed);
    try { sessionStorage.setItem(PRESSED, addressOf(form)); } catch (closed) { /* as above */ }
  });
  addEventListener("pageshow", function (event) {
    if (!event.persisted) return;
    document.querySelectorAll("form[data-sent]").forEach(lift);
    if (navigator.onLine) location.reload();
  });
})();
