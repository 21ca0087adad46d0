// The router: which page belongs to the address, and what happens between two pages.

import { announce, button, errorBox, field, form, h, input, show, takeAnnouncement } from "./dom.js";
import { hasToken, setToken, takeToken } from "./api.js";
import * as cluster from "./cluster.js";
import * as topics from "./topics.js";
import * as topic from "./topic.js";
import * as groups from "./groups.js";
import * as group from "./group.js";
import * as schemas from "./schemas.js";
import * as transactions from "./transactions.js";
import * as security from "./security.js";
import * as configs from "./configs.js";
import * as clients from "./clients.js";
import * as log from "./log.js";
import * as trace from "./trace.js";

const PAGES = [
  { path: /^\/$/, nav: "overview", page: cluster },
  { path: /^\/topics$/, nav: "topics", page: topics },
  { path: /^\/topics\/([^/]+)(?:\/([^/?]+))?$/, nav: "topics", page: topic },
  { path: /^\/groups$/, nav: "groups", page: groups },
  { path: /^\/groups\/([^/]+)$/, nav: "groups", page: group },
  { path: /^\/schemas(?:\/([^/]+))?$/, nav: "schemas", page: schemas },
  { path: /^\/transactions$/, nav: "transactions", page: transactions },
  { path: /^\/security$/, nav: "security", page: security },
  { path: /^\/client-metrics(?:\/([^/]+))?$/, nav: "client-metrics", page: clients },
  { path: /^\/configs$/, nav: "configs", page: configs },
  { path: /^\/trace$/, nav: "trace", page: trace },
  { path: /^\/log$/, nav: "log", page: log },
];

const NAV = [
  ["overview", "#/", "Overview"],
  ["topics", "#/topics", "Topics"],
  ["groups", "#/groups", "Groups"],
  ["schemas", "#/schemas", "Schemas"],
  ["transactions", "#/transactions", "Transactions"],
  ["security", "#/security", "ACLs, users, quotas"],
  ["client-metrics", "#/client-metrics", "Client metrics"],
  ["configs", "#/configs", "Broker settings"],
  ["trace", "#/trace", "Trace"],
  ["log", "#/log", "Log"],
];

let current = new AbortController();

/** What a page gets: its element, the signal of its end, and timers that end with it. */
function context(element, names) {
  const { signal } = current;
  return {
    element, signal, names,
    /** Runs an action now, and again after each pause, while the page is shown and visible. */
    async repeat(milliseconds, action) {
      for (;;) {
        if (!document.hidden) await action();
        await new Promise((resolve) => {
          const timer = setTimeout(resolve, milliseconds);
          signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
        });
        if (signal.aborted) return;
      }
    },
    reload: () => render(),
  };
}

async function render({ movesFocus = false } = {}) {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const [address] = (location.hash.replace(/^#/, "") || "/").split("?");
  const found = PAGES.map((entry) => [entry, entry.path.exec(address)]).find(([, match]) => match);
  const main = document.getElementById("main");
  announce(takeAnnouncement());
  // Before the page is complete: one that shows figures is never.
  if (movesFocus) main.focus();
  if (!found) {
    show(main, h("h1", {}, "There is no such page"), h("p", {}, h("a", { href: "#/" }, "Overview")));
    return;
  }
  const [entry, match] = found;
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.id === `nav-${entry.nav}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const element = h("div");
  try {
    const names = match.slice(1).map((name) => name && decodeURIComponent(name));
    document.title = `${entry.page.title(...names)} – Ottla console`;
    show(main, element);
    await entry.page.render(context(element, names));
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    if (error.status === 401) askForToken(main, error);
    else show(element, h("h1", {}, "This did not work"), errorBox(error), h("p", {}, h("button", { id: "retry", onclick: () => render() }, "Try again")));
  }
}

function askForToken(main, error) {
  const token = input("token", { type: "password", required: true });
  const action = async () => { setToken(token.value); await render(); };
  show(main, h("h1", {}, "The admin port's token"),
    hasToken() && errorBox({ message: `The token is not accepted: ${error.message}` }),
    h("p", {}, "It is the value of ottla.admin.token. It is kept until this tab is closed."),
    form("token-form", {}, action, field("Token", token), button("token-submit", "Continue", { class: "primary" })));
  token.focus();
}

show(document.getElementById("nav"), NAV.map(([id, href, label]) => h("li", {}, h("a", { id: `nav-${id}`, href }, label))));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
takeToken();
addEventListener("hashchange", () => {
  takeToken();
  render({ movesFocus: true });
});
render();
