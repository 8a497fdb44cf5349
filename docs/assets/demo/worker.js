/* Runs one of the models next to the page. The worker of the base model also fetches the files, for all of them. */
import { Evaluator, Gpt2, Tokenizer, lettersOf, readSafetensors } from "./engine.js";

let manifest;
let tokenizer;
let model;
let end;
let round = 0;
const evaluators = new Map();
const jobs = [];
let working = false;

/** Give waiting messages their turn. */
const turn = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), resolve());
    port2.postMessage(null);
  });

/** The browser's own store for what was fetched; undefined where it may not be used. */
async function openStore(address) {
  try {
    return await self.caches?.open(`try-it ${new URL(".", address).pathname}`);
  } catch {
    return undefined; // storage is switched off
  }
}

const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function fetchFile(entry, address, store, advance) {
  const url = new URL(entry.url, address);
  if (entry.sha256 && url.origin === self.location.origin) url.searchParams.set("v", entry.sha256.slice(0, 12));
  const kept = entry.sha256 && (await store?.match(url.href));
  // What the store keeps, the browser's own cache need not: it would give a damaged file again.
  const reply = kept || (await fetch(url, { cache: store && entry.sha256 ? "no-store" : "default" }));
  if (!reply.ok) throw new Error(`${entry.url} could not be loaded (HTTP ${reply.status}).`);
  const parts = [];
  let length = 0;
  const reader = reply.body.getReader();
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    parts.push(step.value);
    length += step.value.length;
    advance(step.value.length);
  }
  const bytes = new Uint8Array(length);
  parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
  const digest = entry.sha256 && self.crypto.subtle ? hex(await self.crypto.subtle.digest("SHA-256", bytes)) : entry.sha256;
  if (length !== entry.bytes || digest !== entry.sha256) {
    if (kept) await store.delete(url.href);
    throw new Error(`${entry.url} is not the file that was evaluated: ${length.toLocaleString("en")} bytes came, of ${entry.bytes.toLocaleString("en")}.`);
  }
  if (!kept && entry.sha256) await store?.put(url.href, new Response(bytes)).catch(() => undefined); // the disk may be full
  return [url.href, bytes.buffer];
}

async function load(address, found, ports) {
  manifest = found;
  const store = await openStore(address);
  let loaded = 0;
  let reported = 0;
  const advance = (bytes) => {
    loaded += bytes;
    if (performance.now() - reported > 50 || loaded === manifest.bytes) {
      reported = performance.now();
      self.postMessage({ type: "progress", loaded, total: manifest.bytes });
    }
  };
  const entries = [...manifest.files, manifest.recorded];
  const fetched = await Promise.all(entries.map((entry) => fetchFile(entry, address, store, advance)));
  const current = new Set(fetched.map(([url]) => url));
  for (const request of (await store?.keys()) || []) if (!current.has(request.url)) await store.delete(request);
  const files = Object.fromEntries(manifest.files.map((entry, i) => [entry.path, fetched[i][1]]));
  for (const port of ports) port.postMessage(files);
  begin(files, null, { recorded: JSON.parse(new TextDecoder().decode(fetched.at(-1)[1])) });
}

function begin(files, folder, more) {
  const json = (path) => JSON.parse(new TextDecoder().decode(files[path]));
  const config = json("base/config.json");
  const adapter = folder && {
    config: json(`${folder}/adapter_config.json`),
    tensors: readSafetensors(files[`${folder}/adapter_model.safetensors`]),
  };
  tokenizer = new Tokenizer(json("base/tokenizer.json"));
  model = new Gpt2(config, readSafetensors(files["base/model.safetensors"]), adapter || undefined);
  end = config.eos_token_id;
  for (const kind of Object.keys(manifest.questions)) evaluatorOf(kind);
  self.postMessage({ type: "ready", ...more });
}

function evaluatorOf(kind) {
  if (!evaluators.has(kind)) evaluators.set(kind, new Evaluator(model, tokenizer, manifest.questions[kind].prefix, end));
  return evaluators.get(kind);
}

async function answer({ id, kind, part, values }) {
  const reply = (what) => self.postMessage({ type: "answer", round, id, kind, part, values, ...what });
  if (kind === "tokens") return reply({ pieces: tokenizer.pieces(` ${values.word}`).map((piece) => piece.trim()).filter(Boolean) });
  const { template, candidates } = manifest.questions[kind];
  const prompt = template.replace(/\{(word|letter|ordinal)\}/g, (_, name) => values[name]);
  if (part === "choose") return reply(evaluatorOf(kind).choose(prompt, candidates));
  const mine = round;
  const writing = evaluatorOf(kind).write(prompt, manifest.most_tokens);
  for (;;) {
    const step = writing.next();
    const text = step.done ? step.value.text : step.value;
    const line = text.replace(/^\n+/, "").split("\n", 1)[0];
    reply({ line, answer: lettersOf(text, manifest.most_letters), done: step.done });
    if (step.done) return undefined;
    await turn();
    if (round !== mine) return undefined;
  }
}

async function work() {
  if (working) return;
  working = true;
  while (jobs.length) {
    const job = jobs.shift();
    if (job.round !== round) continue;
    try {
      await answer(job);
    } catch (error) {
      self.postMessage({ type: "answer", round: job.round, id: job.id, kind: job.kind, part: job.part, values: job.values, error: error.message });
    }
    await turn();
  }
  working = false;
}

const failed = (error) => self.postMessage({ type: "failed", message: error.message });

self.onmessage = ({ data }) => {
  if (data.type === "load") load(data.address, data.manifest, data.ports).catch(failed);
  else if (data.type === "join") {
    data.port.onmessage = ({ data: files }) => {
      manifest = data.manifest;
      try {
        begin(files, data.folder, {});
      } catch (error) {
        failed(error);
      }
    };
  } else if (data.type === "ask") {
    round = data.round;
    jobs.push(data);
    work();
  }
};
