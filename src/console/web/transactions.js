import { h, refresh, show, table } from "./dom.js";
import { get } from "./api.js";
import { amount, count, time } from "./format.js";

const INTERVAL = 5000;

export const title = () => "Transactions";

export async function render(page) {
  const place = h("div");
  show(page.element, h("h1", {}, "Transactions"), place);
  await page.repeat(INTERVAL, () => draw(place, page.signal));
}

async function draw(place, signal) {
  const { transactions, total } = await get("/transactions", signal);
  const { producers } = await get("/producers", signal);
  refresh(place, table("transactions", `${transactions.length} of ${total} transactional ids`, [
    { title: "Transactional id", cell: (it) => it.transactional_id },
    { title: "State", cell: (it) => it.state },
    { title: "Producer", number: true, cell: (it) => `${it.producer_id}, epoch ${it.producer_epoch}` },
    { title: "Began", cell: (it) => time(it.start_timestamp) },
    { title: "Timeout", number: true, cell: (it) => `${count(it.timeout_ms)} ms` },
    { title: "Partitions", cell: (it) => it.partitions.map((one) => `${one.topic}-${one.partition}`).join(", ") || "–" },
  ], transactions), h("h2", {}, "Producers"),
    table("producers", amount(producers.length, "state of a producer with an id", "states of producers with an id"), [
      { title: "Partition", cell: (it) => `${it.topic}-${it.partition}` },
      { title: "Producer", number: true, cell: (it) => it.producer_id },
      { title: "Epoch", number: true, cell: (it) => it.producer_epoch },
      { title: "Last sequence", number: true, cell: (it) => it.last_sequence },
      { title: "Last record", cell: (it) => time(it.last_timestamp) },
      { title: "Open transaction from", number: true, cell: (it) => count(it.transaction_start_offset) },
    ], producers));
}
