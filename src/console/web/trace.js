import { announce, button, check, errorBox, field, form, h, input, select, show } from "./dom.js";
import { lines, query } from "./api.js";
import { count, prettyJson, time, visible } from "./format.js";

const MAX_SHOWN = 500;
/** The client id of the console's own requests. */
const OWN = "ottla-console";

export const title = () => "Trace";

/** What clients say to the broker, as it happens. */
export async function render(page) {
  const client = input("trace-client");
  const api = input("trace-api", { placeholder: "Produce,Fetch" });
  const topic = input("trace-topic");
  const group = input("trace-group");
  const last = select("trace-last", [["", "from now on"], ["1m", "the last minute, and from now on"], ["5m", "the last five minutes, and from now on"]]);
  const errors = check("trace-errors", "Only errors");
  const list = h("div", { id: "trace" });
  const more = h("div");
  let running;

  const stop = () => running && running.abort();

  const run = async () => {
    stop();
    const mine = new AbortController();
    running = mine;
    page.signal.addEventListener("abort", () => mine.abort(), { once: true });
    list.replaceChildren();
    show(more, h("button", { id: "trace-stop", type: "button", onclick: stop }, "Stop"));
    announce("Waiting for requests …");
    const parameters = {
      "client-id": client.value, api: api.value, topic: topic.value, group: group.value,
      errors: errors.box.checked ? "true" : "", last: last.value, follow: last.value ? "true" : "",
    };
    let leftOut = 0;
    try {
      // A response ends after its time; the next one continues.
      for (;;) {
        for await (const line of lines(`/trace${query(parameters)}`, mine.signal, "")) {
          if (line.leftOut) {
            leftOut += line.leftOut;
            announce(`${count(leftOut)} requests were left out.`);
          } else if (line.requestHeader && line.requestHeader.clientId !== OWN) {
            list.prepend(element(line));
            if (list.childElementCount > MAX_SHOWN) list.lastChild.remove();
          }
        }
        delete parameters.last;
        delete parameters.follow;
      }
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      if (!page.signal.aborted) announce("Stopped.");
    } finally {
      if (running === mine) more.replaceChildren();
    }
  };

  // The form is ready for other parameters while requests are shown.
  const action = async () => { run().catch((error) => show(more, errorBox(error))); };
  show(page.element, h("h1", {}, "Trace"),
    h("p", { class: "soft" }, "What clients say to the broker, as it happens, without records and secrets. The newest requests are first."),
    form("trace-form", {}, action, field("Client id", client), field("APIs", api), field("Topic", topic), field("Group", group),
      field("From", last), errors.element, button("trace-submit", "Show", { class: "primary" })), more, list);
  action();
}

const MAX_NAMED = 3;

/** What a request is about: its group, its transactional id and its topics. */
function about(request) {
  if (!request) return "";
  const entries = [request.topics, request.topicData].flatMap((them) => (Array.isArray(them) ? them : []));
  const topics = new Set(entries.map((it) => (typeof it === "string" ? it : it.name || it.topic)).filter(Boolean));
  const others = topics.size > MAX_NAMED ? [`and ${count(topics.size - MAX_NAMED)} more`] : [];
  return [request.groupId, request.transactionalId, ...[...topics].slice(0, MAX_NAMED), ...others].filter(Boolean).join(" ");
}

function element(line) {
  const { requestHeader: header, request, response, errors, ...rest } = line;
  const part = (label, value) => value !== undefined && [h("dt", {}, label), h("dd", {}, h("pre", { tabindex: "0" }, visible(prettyJson(JSON.stringify(value)))))];
  const body = h("div");
  const details = h("details", {
    class: "record",
    ontoggle: () => {
      if (!details.open || body.hasChildNodes()) return;
      show(body, h("dl", {}, part("Request", request), part("Response", response), part("More", { ...header, ...rest })));
    },
  },
  h("summary", {}, time(line.timestamp), " ", h("strong", {}, visible(header.clientId || "–")),
    ` ${header.requestApiKeyName} v${header.requestApiVersion} `,
    errors && errors.length > 0 && h("span", { class: "bad" }, errors.join(", "), " "),
    h("span", { class: "soft" }, `${visible(about(request))} ${line.totalTimeMs} ms`)), body);
  return details;
}
