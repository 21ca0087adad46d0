import { visible } from "./format.js";

// Elements are made here only, from text: contents of records and names never become HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(visible(String(child))));
  }
  return element;
}

/** Makes an element. Attributes that begin with "on" are listeners. */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** Makes an element of SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** Replaces what an element contains. */
export function show(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** Replaces what an element contains if it differs. The focus stays where it was, and so does what is scrolled. */
export function refresh(element, ...children) {
  const next = append(document.createDocumentFragment(), children);
  const same = element.childNodes.length === next.childNodes.length
    && [...next.childNodes].every((it, index) => it.isEqualNode(element.childNodes[index]));
  if (same) return;
  const focused = element.contains(document.activeElement) && document.activeElement.id;
  const scrolled = [...element.querySelectorAll(".table")].map((it) => [it.id, it.scrollLeft]);
  element.replaceChildren(next);
  for (const [id, left] of scrolled) {
    const region = left > 0 && document.getElementById(id);
    if (region) region.scrollLeft = left;
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

let waiting = "";

/** Says something after the change to another page, which is about to follow. */
export function announceNext(text) {
  waiting = text;
}

/** What the page that begins has to say. */
export function takeAnnouncement() {
  const text = waiting;
  waiting = "";
  return text;
}

/** Says something to people who see the page and to those who hear it. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

/** An error that stays where it happened. */
export function errorBox(error) {
  return h("p", { class: "error", role: "alert" }, error.message || String(error));
}

/**
 * A table. Columns are {title, number, cell(row)}; the first is the header of its row.
 */
export function table(id, caption, columns, rows) {
  const heading = (column) => h("th", { scope: "col", class: column.number && "number" }, column.title);
  const cell = (row) => (column, index) => {
    const attributes = { class: column.number && "number" };
    if (index === 0) return h("th", { scope: "row", ...attributes }, column.cell(row));
    return h("td", attributes, column.cell(row));
  };
  const body = rows.length
    ? rows.map((row) => h("tr", {}, columns.map(cell(row))))
    : h("tr", {}, h("td", { colspan: columns.length, class: "soft" }, "None."));
  return h("div", { class: "table", id: `${id}-region`, tabindex: "0", role: "region", "aria-label": caption },
    h("table", { id }, h("caption", {}, caption), h("thead", {}, h("tr", {}, columns.map(heading))), h("tbody", {}, body)));
}

/** A list of terms. */
export function facts(pairs) {
  return h("dl", {}, pairs.filter(([, value]) => value !== undefined)
    .map(([term, value]) => [h("dt", {}, term), h("dd", {}, value === null || value === "" ? "–" : value)]));
}

/** A labelled control. */
export function field(label, control) {
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control);
}

export function input(id, attributes = {}) {
  return h("input", { id, name: id, autocomplete: "off", spellcheck: "false", ...attributes });
}

export function check(id, label, checked = false) {
  const box = h("input", { id, type: "checkbox" });
  box.checked = checked;
  return { box, element: h("div", { class: "check" }, box, h("label", { for: id }, label)) };
}

/** Choices are [value, label]. */
export function select(id, choices, chosen) {
  const element = h("select", { id, name: id }, choices.map(([value, label]) => h("option", { value }, label)));
  if (chosen !== undefined) element.value = chosen;
  return element;
}

/** A form that runs an action without leaving the page, and shows its error. */
export function form(id, attributes, action, ...children) {
  const problem = h("div");
  const element = h("form", {
    id, ...attributes,
    onsubmit: async (event) => {
      event.preventDefault();
      const button = element.querySelector("button:not([type=button])");
      problem.replaceChildren();
      if (button) button.disabled = true;
      try {
        await action();
      } catch (error) {
        show(problem, errorBox(error));
      } finally {
        if (button) button.disabled = false;
      }
    },
  }, children);
  return h("div", {}, element, problem);
}

export function button(id, label, attributes = {}) {
  return h("button", { id, type: "submit", ...attributes }, label);
}

/** A button that asks before it does something that cannot be undone. */
export function danger(id, label, question, action) {
  const place = h("div", { class: "buttons" });
  const ask = () => {
    const sure = h("button", { id: `${id}-confirm`, type: "button", class: "danger", onclick: run }, `Yes, ${label.toLowerCase()}`);
    show(place, h("span", {}, question), sure, h("button", { id: `${id}-cancel`, type: "button", onclick: reset }, "No"));
    sure.focus();
  };
  const run = async () => {
    try {
      await action();
    } catch (error) {
      show(place, errorBox(error), first());
    }
  };
  const first = () => h("button", { id, type: "button", class: "danger", onclick: ask }, label);
  const reset = () => { show(place, first()); place.firstChild.focus(); };
  return show(place, first());
}
