"use strict";
// How numbers, times and elements are made: short, with units, and always as text. Nothing here parses markup: whatever comes
// from traffic can only become a text node.

/** An element with attributes and children; strings become text. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "onclick") element.addEventListener("click", value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** The same of a picture. */
function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const byId = (id) => document.getElementById(id);

/** `1,234`, with a narrow gap no locale decides. */
function count(n) {
  return n === null || n === undefined ? "–" : String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Three digits: `0.53`, `12.4`, `118`. */
function three(x) {
  if (x === 0) return "0";
  return x >= 100 ? count(x) : x >= 10 ? x.toFixed(1) : x >= 0.1 ? x.toFixed(2) : x.toPrecision(2);
}

/** Nanoseconds: `0.53 ms`, `41.2 ms`, `7.15 s`. */
function duration(ns) {
  if (ns === null || ns === undefined) return "–";
  if (ns < 1e3) return three(ns) + " ns";
  if (ns < 1e6) return three(ns / 1e3) + " µs";
  if (ns < 1e9) return three(ns / 1e6) + " ms";
  if (ns < 6e10) return three(ns / 1e9) + " s";
  const s = Math.round(ns / 1e9);
  return s < 3600 ? `${Math.floor(s / 60)}m ${s % 60}s` : `${Math.floor(s / 3600)}h ${Math.floor(s / 60) % 60}m`;
}

/** Nanoseconds as the mark of an axis: `1 ms`, `200 µs`. */
function mark(ns) {
  return duration(ns).replace(/\.0+ /, " ").replace(/(\.\d*?)0+ /, "$1 ");
}

/** Bytes: `12.3 MiB`. */
function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return (unit ? three(n) : count(n)) + " " + units[unit];
}

/** A share: what is not zero is at least 0.1 %. */
function percent(part, whole) {
  if (!whole) return "–";
  if (!part) return "0 %";
  const share = (100 * part) / whole;
  return (share < 0.1 ? "< 0.1" : share < 10 ? share.toFixed(1) : share.toFixed(0)) + " %";
}

const clock = { local: false };

/** Time of day of seconds since 1970, with the date if asked; as many decimals. */
function timeOf(seconds, withDate, decimals) {
  const date = new Date(seconds * 1e3);
  const two = (n) => String(n).padStart(2, "0");
  const get = (what) => (clock.local ? date["get" + what]() : date["getUTC" + what]());
  let text = `${two(get("Hours"))}:${two(get("Minutes"))}:${two(get("Seconds"))}`;
  if (decimals) text += (seconds - Math.floor(seconds)).toFixed(decimals).slice(1);
  if (!withDate) return text;
  return `${get("FullYear")}-${two(get("Month") + 1)}-${two(get("Date"))} ${text}`;
}

/** The colour that a variable of page.css has now. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

const tip = {
  /** Text beside the pointer. */
  show(text, event) {
    const box = byId("tip");
    box.textContent = text;
    box.hidden = false;
    const x = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
    const y = event.clientY + 18 + box.offsetHeight > innerHeight ? event.clientY - box.offsetHeight - 10 : event.clientY + 18;
    box.style.left = x + "px";
    box.style.top = y + "px";
  },
  hide() {
    byId("tip").hidden = true;
  },
};
